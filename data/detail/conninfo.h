// PostgreSQL connection strings without their secrets.
#pragma once
#include <string>

namespace winnow::detail {

// "postgresql host=h port=p dbname=d user=u" of what the string sets; "postgresql" when libpq cannot read it.
std::string describe_connection(const std::string& connection);
bool is_connection(const std::string& text);  // whether libpq can read it
// Whether the string itself holds a password (also sslpassword).
bool holds_password(const std::string& connection);
// The text with every secret of the connection string as "***".
std::string without_secrets(std::string text, const std::string& connection);

}  // namespace winnow::detail
