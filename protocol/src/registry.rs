//! IANA's Information Elements, read from `data/elements.tsv`.
