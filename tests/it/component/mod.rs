//! Components of agent code that is not the runtime's: started, nested and ended by the public guard.

mod by_hand;
mod endings;
mod guard;
mod scene;
