//! Flows of a text file, and where two files differ.

use std::collections::BTreeMap;

/// Flows of a file: (flow index, direction) and the columns by name, in order of export.
pub struct Flows {
    pub order: Vec<String>,
    pub rows: BTreeMap<String, BTreeMap<String, String>>,
}

pub fn parse(text: &str) -> Flows {
    let mut lines = text.lines();
    let names: Vec<&str> = lines
        .next()
        .unwrap()
        .trim_start_matches('%')
        .split('\t')
        .collect();
    let mut flows = Flows {
        order: Vec::new(),
        rows: BTreeMap::new(),
    };
    for line in lines {
        let row: BTreeMap<String, String> = names
            .iter()
            .map(ToString::to_string)
            .zip(line.split('\t').map(ToString::to_string))
            .collect();
        let name = format!("{}{}", row["flowInd"], row["dir"]);
        flows.order.push(name.clone());
        flows.rows.insert(name, row);
    }
    flows
}

/// Values of a column that were compared.
#[derive(Clone, Copy, Default)]
pub struct Column {
    pub compared: u32,
    /// The same to the last digit.
    pub same: u32,
}

/// A flow or the order of export that is not the same.
pub struct Difference {
    pub case: String,
    pub flow: String,
    pub column: String,
    pub theirs: String,
    pub ours: String,
}

pub fn compare(
    case: &str,
    theirs: &Flows,
    ours: &Flows,
    columns: &mut BTreeMap<String, Column>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add = |flow: &str, column: &str, theirs: &str, ours: &str| {
        found.push(Difference {
            case: case.to_owned(),
            flow: flow.to_owned(),
            column: column.to_owned(),
            theirs: theirs.to_owned(),
            ours: ours.to_owned(),
        });
    };
    for (flow, row) in &theirs.rows {
        let Some(our_row) = ours.rows.get(flow) else {
            add(flow, "", "flow", "none");
            continue;
        };
        for (column, value) in row {
            let our_value = our_row.get(column).map_or("(no column)", String::as_str);
            let counts = columns.entry(column.clone()).or_default();
            counts.compared += 1;
            counts.same += u32::from(value == our_value);
            if value != our_value {
                add(flow, column, value, our_value);
            }
        }
    }
    for flow in ours
        .rows
        .keys()
        .filter(|flow| !theirs.rows.contains_key(*flow))
    {
        add(flow, "", "none", "flow");
    }
    let common = |order: &[String], other: &Flows| -> Vec<String> {
        order
            .iter()
            .filter(|flow| other.rows.contains_key(*flow))
            .cloned()
            .collect()
    };
    let (their_order, our_order) = (common(&theirs.order, ours), common(&ours.order, theirs));
    for flow in out_of_place(&their_order, &our_order) {
        add(flow, "order", "", "");
    }
    found
}

/// The flows that must be moved to turn one order into the other: all but a longest common subsequence.
fn out_of_place<'a>(theirs: &'a [String], ours: &[String]) -> Vec<&'a String> {
    let width = ours.len() + 1;
    let mut length = vec![0_u32; (theirs.len() + 1) * width];
    for i in (0..theirs.len()).rev() {
        for j in (0..ours.len()).rev() {
            length[i * width + j] = if theirs[i] == ours[j] {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut moved) = (0, 0, Vec::new());
    while i < theirs.len() {
        if j < ours.len() && theirs[i] == ours[j] {
            (i, j) = (i + 1, j + 1);
        } else if j < ours.len() && length[i * width + j + 1] >= length[(i + 1) * width + j] {
            j += 1;
        } else {
            moved.push(&theirs[i]);
            i += 1;
        }
    }
    moved
}
