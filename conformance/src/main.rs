//! `t2check`: exporters judged by what they send.

fn main() {
    for rule in conformance::wire::RULES {
        println!("{rule}");
    }
}
