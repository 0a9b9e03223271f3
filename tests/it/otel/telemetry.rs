//! The set-up call and its guard: what is counted, and that neither blocks nor harms the work.
