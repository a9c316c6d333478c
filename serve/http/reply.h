// Replies as bytes.
#pragma once
#include <string>
#include <string_view>

#include "serve/http/server.h"

namespace winnow {

std::string_view http_status_text(int status);  // "Not Found"; "Unknown" for one that HTTP does not name
std::string http_date(int64_t seconds);         // "Sun, 06 Nov 1994 08:49:37 GMT"
bool can_send(const HttpReply& reply);          // status, type and fields are such that a head can be made of them

// Appends the head of a reply: status line, Date, Server, Content-Type, Content-Length, its fields, Connection.
void append_http_head(const HttpReply& reply, std::string_view date, bool keep_alive, std::string& out);
// 204 and 304 have no body.
bool has_http_body(int status);

}  // namespace winnow
