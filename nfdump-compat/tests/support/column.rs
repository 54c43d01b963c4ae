//! The columns of an element statistic's table.

/// What stands in the column by which the table is sorted.
pub fn sorted_column(row: &str, order: &str) -> String {
    let packed = row
        .replace("( ", "(")
        .replace(" M", "M")
        .replace(" G", "G")
        .replace(" T", "T");
    let from_right = match order.trim_start_matches(['i', 'o']) {
        "bpp" => 0,
        "bps" => 1,
        "pps" => 2,
        "byte" | "bytes" => 3,
        "pkg" | "packets" | "pkt" => 4,
        _ => 5,
    };
    let column = packed.split_whitespace().rev().nth(from_right);
    column.map_or_else(String::new, |column| {
        column.split('(').next().unwrap_or_default().to_owned()
    })
}
