//! Messages written by hand from the RFCs, octet by octet: what keeps to the rules, and what breaks one of them.
//!
//! A file of `vectors/` is annotated hexadecimal. Its first line names the section and says what is shown; `#` begins
//! a comment, which names the section that the octets are written from; `00*12` is an octet twelve times. `! message`
//! begins a message, `! stream` says that they travel over TCP in place of UDP, and `! breaks RULE VERDICT` names what
//! is broken; without it all rules are kept.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, bail};
use tap::Transport;

use crate::catalogue;
use crate::report::{Way, capture};
use crate::verdict::Verdict;

macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../vectors/", $name, ".hex")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "ipfix_all_templates_withdrawn",
    "ipfix_application_of_engine_zero",
    "ipfix_basic_list",
    "ipfix_biflow",
    "ipfix_biflow_of_no_direction",
    "ipfix_boolean",
    "ipfix_boolean_of_three",
    "ipfix_count_sampling_without_space",
    "ipfix_counter_of_16_octets",
    "ipfix_cut_header",
    "ipfix_data_older_than_its_template",
    "ipfix_datagram_too_large",
    "ipfix_delta_times_swapped",
    "ipfix_direction_of_255",
    "ipfix_dirty_padding",
    "ipfix_end_reason_of_nine",
    "ipfix_ends_before_it_begins",
    "ipfix_enterprise_and_variable",
    "ipfix_export_before_the_flow",
    "ipfix_export_time_of_zero",
    "ipfix_extension_headers_shortened",
    "ipfix_float_of_two_octets",
    "ipfix_flow_key_beyond_the_template",
    "ipfix_flow_keys",
    "ipfix_half_a_record",
    "ipfix_header_only",
    "ipfix_ill_formed_string",
    "ipfix_label_of_four_octets",
    "ipfix_length_counts_itself",
    "ipfix_length_of_255_in_one_octet",
    "ipfix_length_too_large",
    "ipfix_list_of_itself",
    "ipfix_list_of_no_semantic",
    "ipfix_list_of_short_length",
    "ipfix_little_endian_time",
    "ipfix_mapped_address",
    "ipfix_metering_statistics",
    "ipfix_more_scopes_than_fields",
    "ipfix_more_selected_than_observed",
    "ipfix_new_meaning_at_once",
    "ipfix_new_template_sent_once",
    "ipfix_no_enterprise_number",
    "ipfix_no_scope",
    "ipfix_not_sent_again",
    "ipfix_number_of_no_octets",
    "ipfix_octets_behind_the_sets",
    "ipfix_octets_below_the_headers",
    "ipfix_one_observation_time",
    "ipfix_options_in_a_template_set",
    "ipfix_packed_ipv4",
    "ipfix_padding",
    "ipfix_port_block_backwards",
    "ipfix_prefix_of_33",
    "ipfix_probability_of_two",
    "ipfix_process_in_a_domain",
    "ipfix_random_sampling_without_population",
    "ipfix_record_too_long",
    "ipfix_records_of_another_length",
    "ipfix_records_of_nothing",
    "ipfix_redefined_on_a_stream",
    "ipfix_reduced_sizes",
    "ipfix_reliability_statistics",
    "ipfix_reserved_set",
    "ipfix_reversed_flow_id",
    "ipfix_reversed_nothing",
    "ipfix_sampling",
    "ipfix_sequence_of_messages",
    "ipfix_sequence_report_in_disorder",
    "ipfix_set_of_zero",
    "ipfix_set_too_long",
    "ipfix_several_sets",
    "ipfix_short_address",
    "ipfix_short_time",
    "ipfix_statistics_of_no_domain",
    "ipfix_stream_without_a_template",
    "ipfix_sub_template_list",
    "ipfix_sub_template_multi_list",
    "ipfix_tcp_flags_of_four_octets",
    "ipfix_template_again_over_udp",
    "ipfix_template_and_data",
    "ipfix_template_of_255",
    "ipfix_template_twice",
    "ipfix_templates_counted",
    "ipfix_times",
    "ipfix_too_few_fields",
    "ipfix_total_below_the_delta",
    "ipfix_two_domains",
    "ipfix_two_messages",
    "ipfix_uniflow_as_biflow",
    "ipfix_unix_microseconds",
    "ipfix_uptimes",
    "ipfix_uptimes_of_no_start",
    "ipfix_value_too_long",
    "ipfix_variable_lengths",
    "ipfix_vlan_of_4096",
    "ipfix_withdrawal_over_udp",
    "ipfix_withdrawn_and_defined_anew",
    "ipfix_withdrawn_and_used",
    "ipfix_withdrawn_at_once",
    "v5",
    "v5_count_of_two",
    "v5_ends_before_it_begins",
    "v5_sequence_of_packets",
    "v9_count_of_one",
    "v9_data_first",
    "v9_dirty_padding",
    "v9_ends_before_it_begins",
    "v9_flowset_not_padded",
    "v9_flowset_of_three",
    "v9_icmp_type_and_code",
    "v9_not_sent_again",
    "v9_number_twice",
    "v9_odd_scope_length",
    "v9_options",
    "v9_options_by_interface",
    "v9_options_template_not_padded",
    "v9_record_in_the_future",
    "v9_reserved_flowset",
    "v9_restart",
    "v9_restart_without_templates",
    "v9_sampling_by_three",
    "v9_template_and_data",
    "v9_template_with_a_new_meaning",
    "v9_template_without_fields",
    "v9_two_templates",
    "v9_uptime_wraps",
    "v9_variable_length",
];

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vector {
    /// Name of its file.
    pub name: &'static str,
    /// What it is written from, such as `RFC 7011 section 3.1`.
    pub section: String,
    /// What it shows.
    pub sentence: String,
    /// How its messages travel.
    pub transport: Transport,
    /// Identifier of the rules that are broken, and how badly.
    pub breaks: Vec<(&'static str, Verdict)>,
    /// Its messages in order.
    pub messages: Vec<Vec<u8>>,
}

/// All vectors, by name.
///
/// # Errors
/// When a file does not keep to the form.
pub fn vectors() -> anyhow::Result<Vec<Vector>> {
    let read = |(name, text): &(&'static str, &str)| {
        parse(name, text).with_context(|| format!("vector {name}"))
    };
    FILES.iter().map(read).collect()
}

fn parse(name: &'static str, text: &str) -> anyhow::Result<Vector> {
    let head = text.lines().next().and_then(|line| line.strip_prefix("# "));
    let Some((section, sentence)) = head.and_then(|head| head.split_once(": ")) else {
        bail!("the first line names no section");
    };
    let mut vector = Vector {
        name,
        section: section.to_owned(),
        sentence: sentence.to_owned(),
        transport: Transport::Udp,
        breaks: Vec::new(),
        messages: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        vector
            .line(line)
            .with_context(|| format!("line {}", index + 1))?;
    }
    Ok(vector)
}

impl Vector {
    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let content = line.split('#').next().unwrap_or_default().trim();
        let Some(directive) = content.strip_prefix('!') else {
            return self.octets(content);
        };
        match directive
            .trim()
            .split_once(' ')
            .unwrap_or((directive.trim(), ""))
        {
            ("message", "") => self.messages.push(Vec::new()),
            ("stream", "") => self.transport = Transport::Tcp,
            ("breaks", what) => self.breaks.push(broken(what)?),
            _ => bail!("{directive:?} is not known"),
        }
        Ok(())
    }

    fn octets(&mut self, content: &str) -> anyhow::Result<()> {
        for word in content.split_whitespace() {
            let (octet, times) = word.split_once('*').unwrap_or((word, "1"));
            let octet = u8::from_str_radix(octet, 16)?;
            let Some(message) = self.messages.last_mut() else {
                bail!("octets before the first message");
            };
            message.resize(message.len() + times.parse::<u16>()? as usize, octet);
        }
        Ok(())
    }

    fn capture(&self) -> Vec<u8> {
        let netflow = self
            .messages
            .first()
            .is_some_and(|message| !message.starts_with(&[0, 10]));
        let socket = |last, port| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), port));
        let way = Way {
            from: socket(1, 40_000),
            to: socket(9, if netflow { 2055 } else { 4739 }),
            stream: self.transport.is_stream(),
        };
        let messages: Vec<(u64, &[u8])> = self
            .messages
            .iter()
            .map(|message| (sent_ms(message), message.as_slice()))
            .collect();
        capture(way, &messages)
    }
}

/// When a message is taken to be sent: its export time, in milliseconds since 1970.
pub fn sent_ms(message: &[u8]) -> u64 {
    let at = if message.starts_with(&[0, 10]) { 4 } else { 8 };
    let seconds = message.get(at..).and_then(|rest| rest.first_chunk());
    seconds.map_or(0, |seconds| u64::from(u32::from_be_bytes(*seconds)) * 1000)
}

fn broken(what: &str) -> anyhow::Result<(&'static str, Verdict)> {
    let (id, verdict) = what.split_once(' ').unwrap_or((what, ""));
    let known = catalogue::find(id);
    let verdict = Verdict::ALL
        .into_iter()
        .find(|known| known.name() == verdict);
    match (known, verdict) {
        (Some(row), Some(verdict)) => Ok((row.rule.id, verdict)),
        _ => bail!("{what:?} is no rule and its verdict"),
    }
}

/// Writes every vector as a capture `NAME.pcap` into `folder`, which is made if it is not there, and the list of them
/// with what is to be said of each, `manifest.tsv`. The captures are to be judged with `--strict`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<usize> {
    let vectors = vectors()?;
    fs::create_dir_all(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    let save = |name: &str, octets: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, octets).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut manifest = "file\trule\tverdict\tsection\twhat is shown\n".to_owned();
    for vector in &vectors {
        let file = format!("{}.pcap", vector.name);
        save(&file, &vector.capture())?;
        let Vector {
            section, sentence, ..
        } = vector;
        // Writing to a String does not fail.
        for (rule, verdict) in &vector.breaks {
            let _ = writeln!(manifest, "{file}\t{rule}\t{verdict}\t{section}\t{sentence}");
        }
        if vector.breaks.is_empty() {
            let _ = writeln!(manifest, "{file}\tall\tPASS\t{section}\t{sentence}");
        }
    }
    save("manifest.tsv", manifest.as_bytes())?;
    Ok(vectors.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_file_is_listed_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let listed: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, listed);
    }

    /// Octets are written from a section, and the comment names it.
    #[test]
    fn every_line_names_where_it_is_from() {
        for (name, text) in FILES {
            for line in text.lines().filter(|line| !line.starts_with(['#', '!'])) {
                let comment = line.split_once("# ").map_or("", |(_, comment)| comment);
                let source = comment.split(' ').next().unwrap_or_default();
                let named = matches!(
                    source,
                    "7011" | "3954" | "5103" | "5476" | "6313" | "4291" | "IANA" | "v5"
                );
                assert!(named, "{name}: {line}");
            }
        }
    }

    #[test]
    fn what_does_not_keep_to_the_form_is_refused() {
        for text in [
            "! message\n00\n",
            "# RFC 1: x\n00\n",
            "# RFC 1: x\n! message\n0g\n",
            "# RFC 1: x\n! messages\n",
            "# RFC 1: x\n! breaks H-02\n",
            "# RFC 1: x\n! breaks X-99 PASS\n",
        ] {
            assert!(parse("x", text).is_err(), "{text}");
        }
        let good = parse(
            "x",
            "# RFC 1: y: z\n! breaks H-06 DATA LOSS\n! message\n00 0a*3 # c\n",
        )
        .unwrap();
        assert_eq!(good.messages, [[0, 10, 10, 10]]);
        assert_eq!(
            (good.section.as_str(), good.sentence.as_str()),
            ("RFC 1", "y: z")
        );
        assert_eq!(good.breaks, [("H-06", Verdict::DataLoss)]);
    }
}
