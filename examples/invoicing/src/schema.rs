// @generated automatically by Diesel CLI.

diesel::table! {
    invoices (id) {
        id -> Integer,
        customer -> Text,
        cents -> Integer,
        paid -> Bool,
        number -> Nullable<Integer>,
        numbered_by -> Nullable<Text>,
        numbered_under -> Nullable<BigInt>,
    }
}
