// @generated automatically by Diesel CLI.

diesel::table! {
    invoices (id) {
        id -> Int4,
        customer -> Text,
        cents -> Int4,
        paid -> Bool,
        number -> Nullable<Int4>,
        numbered_by -> Nullable<Text>,
        numbered_under -> Nullable<Int8>,
    }
}
