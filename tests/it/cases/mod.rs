//! What users of comparable systems report, tried here: tables of cases, each with the id under which it was reported.

mod models;
