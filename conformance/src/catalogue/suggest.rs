//! What somebody may have meant by an identifier that does not exist.

use super::requirements;

/// At most this many are offered.
const MOST: usize = 3;

/// The identifiers next to `id`: with leading zero and hyphen put right, or one letter aside.
pub fn suggest(id: &str) -> Vec<&'static str> {
    let wanted = plain(id);
    let mut near: Vec<(usize, &'static str)> = requirements()
        .iter()
        .map(|requirement| {
            let id = requirement.rule.id;
            (distance(wanted.as_bytes(), plain(id).as_bytes()), id)
        })
        .filter(|(distance, _)| *distance <= 1)
        .collect();
    near.sort_unstable();
    if let Some(&(0, id)) = near.first() {
        return vec![id];
    }
    near.into_iter().take(MOST).map(|(_, id)| id).collect()
}

/// `t-018`, `T18`, `T 18` and `T-18` are the same.
fn plain(id: &str) -> String {
    let letters = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = id.get(letters.len()..).unwrap_or_default();
    let letters = letters.trim_end_matches(|c: char| !c.is_alphanumeric());
    format!(
        "{}{}",
        letters.to_uppercase(),
        digits.trim_start_matches('0')
    )
}

/// The number of letters to insert, delete or replace (Levenshtein). The names are short: inputs beyond 16 octets
/// are far from all of them.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > 16 {
        return a.len();
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for (y, pair) in b.iter().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { break };
            left = (diagonal + usize::from(x != y))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_identifiers() {
        assert_eq!(suggest("t18"), ["T-18"]);
        assert_eq!(suggest("T-018"), ["T-18"]);
        assert_eq!(suggest("H_2"), ["H-02"]);
        assert_eq!(suggest("Q-02").first(), Some(&"B-02"));
        assert_eq!(suggest("nonsense"), [""; 0]);
        assert_eq!(suggest(&"é".repeat(1000)), [""; 0]);
    }
}
