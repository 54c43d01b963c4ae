//! How much state a session may hold, so that no sender can exhaust memory.
