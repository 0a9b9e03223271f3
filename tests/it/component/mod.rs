//! Components of agent code that is not the runtime's: started, nested and ended by the public guard.

mod endings;
mod guard;
mod scene;
