//! Being nfcapd: command lines of nfcapd 1.6, and what the program does when called by the name nfcapd.

use std::ffi::OsString;

/// What nfcapd says of its version.
pub const VERSION: &str = "nfcapd: Version: 1.7.1";
/// nfcapd's exit code for everything that is wrong.
pub const FAILED: u8 = 1;
/// nfexpire's, as 1.7.1 was seen to give it.
pub const EXPIRE_FAILED: u8 = 250;

/// Brings a command line of nfcapd 1.6 up to date.
///
/// In 1.6, `-l DIR` was the directory and `-w` (align slots, which is always done now) stood alone. `-w` is left out of
/// such a command line: one with `-l`, in which no directory follows `-w`.
pub fn modernise(arguments: &mut Vec<OsString>) {
    let starts =
        |argument: &OsString, with: &str| argument.as_encoded_bytes().starts_with(with.as_bytes());
    if !arguments.iter().any(|argument| starts(argument, "-l")) {
        return;
    }
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        let alone = arguments.get(at + 1).is_none_or(|next| starts(next, "-"));
        if argument == "-w" && alone {
            arguments.remove(at);
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modern(line: &str) -> String {
        let mut arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
        modernise(&mut arguments);
        let words: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn a_lone_w_was_an_option_of_its_own() {
        assert_eq!(
            modern("nfcapd -w -D -p 9995 -l /dir"),
            "nfcapd -D -p 9995 -l /dir"
        );
        assert_eq!(modern("nfcapd -l/dir -S 1 -w"), "nfcapd -l/dir -S 1");
        assert_eq!(modern("nfcapd -w /dir -p 1"), "nfcapd -w /dir -p 1");
        assert_eq!(modern("nfcapd -w -D"), "nfcapd -w -D");
    }
}
