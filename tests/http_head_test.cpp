// serve/http/head.h and chunked.h: what two servers could read in two ways is refused, plain requests are not.
#include <gtest/gtest.h>

#include <memory>

#include "serve/http/chunked.h"
#include "serve/http/head.h"

namespace winnow {
namespace {

struct Read {
  int status = 0;  // of the refusal; 0: none
  bool complete = false;
  HttpHead head;
  std::shared_ptr<const std::string> bytes;  // the head's views lie in it
};

Read read_head(const std::string& text, const HttpHeadLimits& limits = {}) {
  Read read;
  read.bytes = std::make_shared<const std::string>(text);
  const std::string_view bytes = *read.bytes;
  HttpHeadScan scan;
  HttpFault fault;
  const size_t size = scan.find_end(bytes, limits, fault);
  if (!fault && size > 0) {
    read.complete = true;
    fault = parse_http_head(bytes.substr(0, size), limits, read.head);
  }
  read.status = fault.status;
  return read;
}

// The status of a head and, where it is sound, of its target.
int status_of(const std::string& bytes) {
  const Read read = read_head(bytes);
  if (read.status != 0 || !read.complete || read.head.target == "*") return read.status;
  std::string path, query;
  HttpParameters parameters;
  return parse_http_target(read.head.target, 100, path, query, parameters).status;
}

std::string get(const std::string& fields) { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"; }
std::string post(const std::string& fields) { return "POST /v1/score HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"; }
std::string line(const std::string& request_line) { return request_line + "\r\nHost: a\r\n\r\n"; }
const std::string kNul(1, '\0');

const std::vector<std::pair<const char*, std::string>>& smuggling_table() {
  static const std::vector<std::pair<const char*, std::string>> table = {
      // framing said twice
      {"length and chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
      {"chunked and length 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")},
      {"two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"two equal lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n")},
      {"two lengths in other case", post("Content-Length: 5\r\ncontent-length: 5\r\n")},
      {"a list of lengths", post("Content-Length: 5, 5\r\n")},
      {"two chunked", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"chunked then identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
      // lengths that are read in different ways
      {"length +5", post("Content-Length: +5\r\n")},
      {"length -5", post("Content-Length: -5\r\n")},
      {"length 0x5", post("Content-Length: 0x5\r\n")},
      {"length 5 5", post("Content-Length: 5 5\r\n")},
      {"length 5;", post("Content-Length: 5;\r\n")},
      {"length 5.0", post("Content-Length: 5.0\r\n")},
      {"length 1e1", post("Content-Length: 1e1\r\n")},
      {"length empty", post("Content-Length:\r\n")},
      {"length over 2^64", post("Content-Length: 18446744073709551617\r\n")},
      {"length in quotes", post("Content-Length: \"5\"\r\n")},
      {"length with a NUL", post("Content-Length: 5" + kNul + "\r\n")},
      {"length with a vertical tab", post("Content-Length: \v5\r\n")},
      {"length with a no-break space", post("Content-Length: \xc2\xa0"
                                            "5\r\n")},
      {"length in Arabic digits", post("Content-Length: \xd9\xa5\r\n")},
      // encodings that are read in different ways
      {"encoding gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n")},
      {"encoding chunked, identity", post("Transfer-Encoding: chunked, identity\r\n")},
      {"encoding chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n")},
      {"encoding xchunked", post("Transfer-Encoding: xchunked\r\n")},
      {"encoding Chunked", post("Transfer-Encoding: Chunked\r\n")},
      {"encoding chunked;q=1", post("Transfer-Encoding: chunked;q=1\r\n")},
      {"encoding in quotes", post("Transfer-Encoding: \"chunked\"\r\n")},
      {"encoding identity", post("Transfer-Encoding: identity\r\n")},
      {"encoding empty", post("Transfer-Encoding:\r\n")},
      {"encoding with a comma in front", post("Transfer-Encoding: ,chunked\r\n")},
      {"encoding with a vertical tab", post("Transfer-Encoding: \vchunked\r\n")},
      {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      // names and lines that are read in different ways
      {"blank before the colon", post("Content-Length : 5\r\n")},
      {"tab before the colon", post("Transfer-Encoding\t: chunked\r\n")},
      {"blank before the name", post(" Content-Length: 5\r\n")},
      {"a folded value", post("X: a\r\n b\r\n")},
      {"a folded length", post("Content-Length:\r\n 5\r\n")},
      {"a folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"no colon", post("Content-Length 5\r\n")},
      {"an empty name", post(": 5\r\n")},
      {"a NUL in a name", post("Content" + kNul + "-Length: 5\r\n")},
      {"a NUL in a value", post("X: a" + kNul + "b\r\n")},
      {"a bare LF behind a value", post("X: a\nContent-Length: 5\r\n")},
      {"a bare CR in a value", post("X: a\rContent-Length: 5\r\n")},
      {"CR CR LF", post("X: a\r\r\n")},
      {"bare LF lines", "GET / HTTP/1.1\nHost: a\n\n"},
      {"a bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n"},
      {"a control byte in a value", post("X: a\x01\r\n")},
      {"DEL in a value", post("X: a\x7f\r\n")},
      {"a name that is not ASCII", post("Content-L\xc3\xa4nge: 5\r\n")},
      {"a name with a slash", post("Content/Length: 5\r\n")},
      {"two hosts", get("Host: b\r\n")},
      {"no host", "GET / HTTP/1.1\r\n\r\n"},
      {"an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"a host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
      {"two keys", get("X-Api-Key: a\r\nX-Api-Key: b\r\n")},
      {"two authorizations", get("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n")},
      // request lines
      {"an empty line in front", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a blank in front", line(" GET / HTTP/1.1")},
      {"two blanks", line("GET  / HTTP/1.1")},
      {"a tab", line("GET\t/ HTTP/1.1")},
      {"a blank behind", line("GET / HTTP/1.1 ")},
      {"a blank in the target", line("GET /a b HTTP/1.1")},
      {"no version", line("GET /")},
      {"HTTP/0.9", line("GET / HTTP/0.9")},
      {"HTTP/2.0", line("GET / HTTP/2.0")},
      {"HTTP/1.10", line("GET / HTTP/1.10")},
      {"HTTP/1.1 in small letters", line("GET / http/1.1")},
      {"HTTP/01.1", line("GET / HTTP/01.1")},
      {"a NUL in the target", line("GET /" + kNul + " HTTP/1.1")},
      {"a control byte in the target", line("GET /\x01 HTTP/1.1")},
      {"raw UTF-8 in the target", line("GET /\xc3\xa4 HTTP/1.1")},
      {"a fragment", line("GET /#a HTTP/1.1")},
      {"a backslash", line("GET /a\\b HTTP/1.1")},
      {"no slash", line("GET a HTTP/1.1")},
      {"another server's URL", line("GET http://b/ HTTP/1.1")},
      {"an authority", line("CONNECT b:443 HTTP/1.1")},
      {"* of GET", line("GET * HTTP/1.1")},
      {"a method with a colon", line("GE:T / HTTP/1.1")},
      {"a method in brackets", line("[GET] / HTTP/1.1")},
      {"no method", line("/ HTTP/1.1")},
      // targets that are read in different ways
      {"..", line("GET /../a HTTP/1.1")},
      {"a/..", line("GET /a/.. HTTP/1.1")},
      {".", line("GET /./a HTTP/1.1")},
      {"%2e%2e", line("GET /%2e%2e/a HTTP/1.1")},
      {"%2E.", line("GET /%2E./a HTTP/1.1")},
      {"an encoded slash", line("GET /a%2fb HTTP/1.1")},
      {"an encoded backslash", line("GET /a%5Cb HTTP/1.1")},
      {"an encoded NUL", line("GET /a%00 HTTP/1.1")},
      {"an encoded line end", line("GET /a%0d%0aX HTTP/1.1")},
      {"an overlong dot", line("GET /%c0%ae%c0%ae/a HTTP/1.1")},
      {"an overlong slash", line("GET /a%c0%afb HTTP/1.1")},
      {"an overlong slash of three bytes", line("GET /a%e0%80%afb HTTP/1.1")},
      {"a surrogate", line("GET /%ed%a0%80 HTTP/1.1")},
      {"half an escape", line("GET /a%2 HTTP/1.1")},
      {"no escape", line("GET /a%zz HTTP/1.1")},
      {"an empty segment", line("GET //a HTTP/1.1")},
      {"an empty segment inside", line("GET /a//b HTTP/1.1")},
      {"an encoded NUL in the query", line("GET /?a=%00 HTTP/1.1")},
      {"a query that is not UTF-8", line("GET /?a=%ff HTTP/1.1")},
      {"half an escape in the query", line("GET /?a=% HTTP/1.1")},
  };
  return table;
}

TEST(HttpHead, RefusesWhatTwoServersCouldReadInTwoWays) {
  EXPECT_GE(smuggling_table().size(), 60u);
  for (const auto& [name, bytes] : smuggling_table()) EXPECT_EQ(status_of(bytes), 400) << name;
}

TEST(HttpHead, TakesPlainRequests) {
  const Read get_read =
      read_head("GET /v1/items/a?k=5 HTTP/1.1\r\nHost: example.org:8080\r\nX-Empty:\r\nA:\t b c \t\r\n\r\n");
  ASSERT_EQ(get_read.status, 0);
  EXPECT_EQ(get_read.head.method, "GET");
  EXPECT_EQ(get_read.head.target, "/v1/items/a?k=5");
  ASSERT_EQ(get_read.head.fields.size(), 3u);
  EXPECT_EQ(get_read.head.field("x-empty"), "");
  EXPECT_EQ(get_read.head.field("a"), "b c");
  EXPECT_TRUE(get_read.head.keep_alive);
  EXPECT_EQ(get_read.head.content_length, 0u);

  const Read post_read = read_head(post("content-LENGTH: 0042\r\nExpect: 100-Continue\r\n"));
  ASSERT_EQ(post_read.status, 0);
  EXPECT_EQ(post_read.head.content_length, 42u);
  EXPECT_TRUE(post_read.head.expects_continue);
  EXPECT_TRUE(read_head(post("Transfer-Encoding: chunked\r\n")).head.chunked);
  EXPECT_EQ(read_head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 0);
  EXPECT_EQ(read_head("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n").status, 0);
  EXPECT_EQ(read_head("BREW / HTTP/1.1\r\nHost: a\r\n\r\n").status, 0);  // a method all the same: 501 is the server's
}

TEST(HttpHead, ConnectionsStayOpenAsTheVersionAndTheFieldsSay) {
  EXPECT_TRUE(read_head(get("")).head.keep_alive);
  EXPECT_FALSE(read_head(get("Connection: Close\r\n")).head.keep_alive);
  EXPECT_FALSE(read_head(get("Connection: keep-alive, close\r\n")).head.keep_alive);
  EXPECT_FALSE(read_head("GET / HTTP/1.0\r\n\r\n").head.keep_alive);
  EXPECT_TRUE(read_head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").head.keep_alive);
}

TEST(HttpHead, LimitsHaveTheirStatus) {
  const HttpHeadLimits limits{.max_head = 1024, .max_target = 100, .max_fields = 3};
  EXPECT_EQ(read_head("GET /" + std::string(99, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits).status, 0);
  EXPECT_EQ(read_head("GET /" + std::string(100, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits).status, 414);
  EXPECT_EQ(read_head("GET /" + std::string(2000, 'a'), limits).status, 414);
  EXPECT_EQ(read_head("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'a'), limits).status, 431);
  EXPECT_EQ(read_head(get("A: b\r\nC: d\r\n"), limits).status, 0);
  EXPECT_EQ(read_head(get("A: b\r\nC: d\r\nE: f\r\n"), limits).status, 431);
  EXPECT_EQ(read_head(get("Expect: 200-ok\r\n")).status, 417);
  // The last byte that may still belong to the head.
  const std::string fits = get("X: " + std::string(1024 - get("X: \r\n").size(), 'a') + "\r\n");
  ASSERT_EQ(fits.size(), 1024u);
  EXPECT_EQ(read_head(fits, limits).status, 0);
  EXPECT_EQ(read_head(get("X: " + std::string(1025 - get("X: \r\n").size(), 'a') + "\r\n"), limits).status, 431);
}

TEST(HttpHead, TheEndIsFoundHoweverTheBytesCome) {
  const std::string head = get("A: b\r\n"), bytes = head + "GET /next";
  HttpHeadScan scan;
  for (size_t n = 0; n < head.size(); ++n) {
    HttpFault fault;
    ASSERT_EQ(scan.find_end(std::string_view(bytes).substr(0, n), {}, fault), 0u) << n;
    ASSERT_FALSE(fault) << n;
  }
  HttpFault fault;
  EXPECT_EQ(scan.find_end(bytes, {}, fault), head.size());
  HttpHeadScan at_once;
  EXPECT_EQ(at_once.find_end(bytes, {}, fault), head.size());
}

TEST(HttpTarget, PathAndParametersAreDecoded) {
  std::string path, query;
  HttpParameters parameters;
  ASSERT_FALSE(parse_http_target("/v1/items/a%20b%C3%A4%25?q=x+y%2B&&flag&k=5=6&e=", 10, path, query, parameters));
  EXPECT_EQ(path, "/v1/items/a b\xc3\xa4%");
  EXPECT_EQ(query, "q=x+y%2B&&flag&k=5=6&e=");
  EXPECT_EQ(parameters, (HttpParameters{{"q", "x y+"}, {"flag", ""}, {"k", "5=6"}, {"e", ""}}));
  ASSERT_FALSE(parse_http_target("/a/", 10, path, query, parameters));
  EXPECT_EQ(path, "/a/");
  EXPECT_TRUE(parameters.empty());
  EXPECT_EQ(parse_http_target("/?a&b&c", 2, path, query, parameters).status, 400);
}

struct Decoded {
  int status = 0;
  bool done = false;
  std::string body, left;
};

Decoded decode(std::string_view in, size_t step, size_t max_body = 1 << 20) {
  Decoded out;
  ChunkedBody chunks(max_body);
  for (size_t i = 0; i < in.size() && !chunks.done(); i += step) {
    std::string_view part = in.substr(i, step);
    const HttpFault fault = chunks.take(part, &out.body);
    if (fault) {
      out.status = fault.status;
      return out;
    }
    out.left = std::string(part);
  }
  out.done = chunks.done();
  return out;
}

TEST(ChunkedBody, IsDecodedHoweverTheBytesCome) {
  const std::string in = "5\r\nhello\r\n00A;name=\"v\"\r\n, wide wor\r\n2\r\nld\r\n0\r\n\r\nGET";
  for (size_t step = 1; step <= in.size(); ++step) {
    const Decoded d = decode(in, step);
    EXPECT_EQ(d.status, 0) << step;
    EXPECT_TRUE(d.done) << step;
    EXPECT_EQ(d.body, "hello, wide world") << step;
  }
  EXPECT_EQ(decode(in, in.size()).left, "GET");
}

TEST(ChunkedBody, RefusesWhatIsNoChunk) {
  const std::string bad[] = {"\r\n",
                             "g\r\n",
                             " 5\r\nhello\r\n",
                             "5 \r\nhello\r\n",
                             "0x5\r\nhello\r\n",
                             "+5\r\nhello\r\n",
                             "-1\r\n",
                             "5\nhello\r\n",
                             "5\rhello\r\n",
                             "5;a\nhello\r\n",
                             "5;a\rb\r\nhello\r\n",
                             "5;" + std::string(1, '\0') + "\r\nhello\r\n",
                             "5\r\nhello!\r\n",
                             "5\r\nhello\n0\r\n\r\n",
                             "5\r\nhell\r\n0\r\n\r\n",
                             "00000000000000005\r\nhello\r\n",
                             "5;" + std::string(256, 'a') + "\r\nhello\r\n",
                             "0\r\nX: a\r\n\r\n",
                             "0\r\n\n",
                             "0\n\r\n"};
  for (const std::string& in : bad)
    for (const size_t step : {size_t{1}, in.size()}) EXPECT_EQ(decode(in, step).status, 400) << in.substr(0, 20);
  EXPECT_EQ(decode("5;" + std::string(255, 'a') + "\r\nhello\r\n0\r\n\r\n", 7).body, "hello");
  EXPECT_EQ(decode("0000000000000005\r\nhello\r\n0\r\n\r\n", 7).body, "hello");
}

TEST(ChunkedBody, IsTooLongByItsSizeLines) {
  EXPECT_EQ(decode("5\r\nhello\r\n0\r\n\r\n", 99, 5).status, 0);
  EXPECT_EQ(decode("6\r\n", 99, 5).status, 413);
  EXPECT_EQ(decode("5\r\nhello\r\n1\r\n", 99, 5).status, 413);
  EXPECT_EQ(decode("ffffffffffffffff\r\n", 99).status, 413);
  EXPECT_EQ(decode("5\r\nhello\r\nfffffffffffffffb\r\n", 99).status, 413);
}

}  // namespace
}  // namespace winnow
