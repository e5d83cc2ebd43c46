//! pcimsi
