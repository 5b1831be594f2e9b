//! The small macros that turn one row of a table into a [`Setting`](crate::Setting), a type and an accessor.
//!
//! A row reads: `field: kind unit "key" = default [dev "default"], rule, update, standing, "doc";`. The kind fixes
//! both Kafka's type of the key and the Rust type of the accessor, so a wrong use does not compile.

/// Kafka's type of a row's kind.
macro_rules! kind_of {
    (bool) => {
        crate::Kind::Bool
    };
    (int) => {
        crate::Kind::Int
    };
    (uint) => {
        crate::Kind::Int
    };
    (opt_int) => {
        crate::Kind::Int
    };
    (int_duration) => {
        crate::Kind::Int
    };
    (node) => {
        crate::Kind::Int
    };
    (short) => {
        crate::Kind::Short
    };
    (long) => {
        crate::Kind::Long
    };
    (ulong) => {
        crate::Kind::Long
    };
    (opt_long) => {
        crate::Kind::Long
    };
    (long_duration) => {
        crate::Kind::Long
    };
    (double) => {
        crate::Kind::Double
    };
    (string) => {
        crate::Kind::String
    };
    (opt_string) => {
        crate::Kind::String
    };
    (compression) => {
        crate::Kind::String
    };
    (timestamp) => {
        crate::Kind::String
    };
    (list) => {
        crate::Kind::List
    };
    (opt_list) => {
        crate::Kind::List
    };
    (cleanup) => {
        crate::Kind::List
    };
    (class) => {
        crate::Kind::Class
    };
    (password) => {
        crate::Kind::Password
    };
}

/// Rust type of a row's kind, as an accessor returns it (`borrowed`) or a struct holds it (`owned`).
macro_rules! type_of {
    (owned string) => { String };
    (owned list) => { Vec<String> };
    (borrowed string) => { &str };
    (borrowed list) => { &[String] };
    (borrowed opt_string) => { Option<&str> };
    (borrowed opt_list) => { Option<&[String]> };
    ($form:ident bool) => { bool };
    ($form:ident int) => { i32 };
    ($form:ident uint) => { u32 };
    ($form:ident opt_int) => { Option<i32> };
    ($form:ident int_duration) => { std::time::Duration };
    ($form:ident node) => { thalweg_types::BrokerId };
    ($form:ident short) => { i16 };
    ($form:ident long) => { i64 };
    ($form:ident ulong) => { u64 };
    ($form:ident opt_long) => { Option<i64> };
    ($form:ident long_duration) => { std::time::Duration };
    ($form:ident double) => { f64 };
    ($form:ident compression) => { crate::CompressionType };
    ($form:ident timestamp) => { crate::TimestampType };
    ($form:ident cleanup) => { crate::CleanupPolicy };
}

/// Reads a checked [`Value`](crate::Value) as the type of its kind.
macro_rules! read_as {
    ($value:expr, bool) => {
        $value.as_bool()
    };
    ($value:expr, int) => {
        $value.as_i32()
    };
    ($value:expr, uint) => {
        $value.as_u32()
    };
    ($value:expr, opt_int) => {
        $value.number().map(crate::value::saturate_i32)
    };
    ($value:expr, int_duration) => {
        $value.as_duration()
    };
    ($value:expr, node) => {
        thalweg_types::BrokerId($value.as_i32())
    };
    ($value:expr, short) => {
        $value.as_i16()
    };
    ($value:expr, long) => {
        $value.as_i64()
    };
    ($value:expr, ulong) => {
        $value.as_u64()
    };
    ($value:expr, opt_long) => {
        $value.number()
    };
    ($value:expr, long_duration) => {
        $value.as_duration()
    };
    ($value:expr, double) => {
        $value.as_f64()
    };
    ($value:expr, string) => {
        $value.text().unwrap_or_default()
    };
    ($value:expr, opt_string) => {
        $value.text()
    };
    ($value:expr, compression) => {
        crate::CompressionType::of(&$value)
    };
    ($value:expr, timestamp) => {
        crate::TimestampType::of(&$value)
    };
    ($value:expr, cleanup) => {
        crate::CleanupPolicy::of(&$value)
    };
    ($value:expr, list) => {
        $value.list().unwrap_or_default()
    };
    ($value:expr, opt_list) => {
        $value.list()
    };
}

/// A row's default: a literal as Kafka prints it, or `null`.
macro_rules! default_of {
    (null) => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}

/// Whose key it is and whether it does anything here.
macro_rules! owner_of {
    (Ours) => {
        crate::Owner::Thalweg
    };
    ($other:ident) => {
        crate::Owner::Kafka
    };
}

/// What setting the key does.
macro_rules! effect_of {
    (Stored) => {
        crate::Effect::Stored
    };
    (Refused) => {
        crate::Effect::Refused
    };
    ($other:ident) => {
        crate::Effect::Live
    };
}

/// One row as a `Setting`.
macro_rules! setting_of {
    ($kind:ident $unit:ident $name:literal = $default:tt, $dev:expr, $rule:expr, $update:ident, $standing:ident, $synonyms:expr, $doc:literal) => {
        crate::Setting {
            name: $name,
            kind: kind_of!($kind),
            unit: crate::Unit::$unit,
            default: default_of!($default),
            dev_default: $dev,
            rule: $rule,
            update: crate::Update::$update,
            owner: owner_of!($standing),
            effect: effect_of!($standing),
            synonyms: $synonyms,
            doc: $doc,
        }
    };
}

/// `Some` of a literal that may be missing.
macro_rules! maybe {
    () => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}
