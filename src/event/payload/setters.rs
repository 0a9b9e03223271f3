//! How payloads are filled.

use std::time::Duration;

/// Setters of fields, each named and documented after its field: of a text that may be absent, of another value that may be
/// absent, and of a value that is always there.
macro_rules! setters {
    ($($kind:ident $name:ident($field:ident $(: $type:ty)?);)*) => {
        $($crate::event::payload::setters::setter! { $kind $name $field $($type)? })*
    };
}

macro_rules! setter {
    (text $name:ident $field:ident) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), "). By default, it is absent.")]
        #[must_use]
        pub fn $name(mut self, $field: impl Into<String>) -> Self {
            self.$field = Some($field.into());
            self
        }
    };
    (some $name:ident $field:ident $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), "). By default, it is absent.")]
        #[must_use]
        pub fn $name(mut self, $field: $type) -> Self {
            self.$field = Some($field);
            self
        }
    };
    (set $name:ident $field:ident $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $name(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    };
}

pub(super) use setter;
pub(super) use setters;

/// A time in the unit of the payloads.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
