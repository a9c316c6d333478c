// The HTTP server over TLS, with a certificate made here.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>

#include "core/error.h"
#include "serve/http/server.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "tests/http_client.h"

namespace winnow {
namespace {

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(std::FILE* p) const { std::fclose(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// A key and a certificate that it signs itself, as PEM files <name>.key and <name>.crt.
struct Certificate {
  explicit Certificate(const std::string& name, const char* pass_phrase = nullptr)
      : key_file(directory_.path() + "/" + name + ".key"), file(directory_.path() + "/" + name + ".crt") {
    const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
    const Owned<X509> x(X509_new());
    X509_set_version(x.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(x.get()), 3600);
    X509_set_pubkey(x.get(), key.get());
    X509_NAME* subject = X509_get_subject_name(x.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1,
                               0);
    X509_set_issuer_name(x.get(), subject);
    X509_sign(x.get(), key.get(), EVP_sha256());
    const Owned<std::FILE> certificate(std::fopen(file.c_str(), "w")), secret(std::fopen(key_file.c_str(), "w"));
    PEM_write_X509(certificate.get(), x.get());
    PEM_write_PrivateKey(secret.get(), key.get(), pass_phrase == nullptr ? nullptr : EVP_aes_128_cbc(), nullptr, 0,
                         nullptr, const_cast<char*>(pass_phrase));
  }
  const TemporaryDirectory directory_;
  std::string key_file, file;
};

class TlsClient {
 public:
  explicit TlsClient(uint16_t port, int version = 0) : socket_(port), context_(SSL_CTX_new(TLS_client_method())) {
    if (version != 0) {
      SSL_CTX_set_security_level(context_.get(), 0);  // lets the client offer old versions at all
      SSL_CTX_set_min_proto_version(context_.get(), version);
      SSL_CTX_set_max_proto_version(context_.get(), version);
    }
    tls_.reset(SSL_new(context_.get()));
    SSL_set_fd(tls_.get(), socket_.fd());
    connected_ = SSL_connect(tls_.get()) == 1;
  }
  bool connected() const { return connected_; }
  std::string version() const { return SSL_get_version(tls_.get()); }
  bool send(const std::string& bytes) {
    return SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  // Until `n` bytes or the end.
  std::string receive(size_t n) {
    std::string text;
    char buffer[16384];
    while (text.size() < n) {
      const int got = SSL_read(tls_.get(), buffer, sizeof buffer);
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }
  bool ended_in_order() const { return (SSL_get_shutdown(tls_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  HttpClient socket_;
  Owned<SSL_CTX> context_;
  Owned<SSL> tls_;
  bool connected_ = false;
};

HttpOptions tls_options(const Certificate& certificate) {
  HttpOptions o;
  o.port = 0;
  o.certificate = certificate.file;
  o.private_key = certificate.key_file;
  return o;
}

void add_routes(HttpServer& server) {
  server.route("POST", "/echo", [](HttpExchange x) {
    x.reply({.status = 200, .type = "text/plain", .body = x.request().body, .fields = {}});
  });
  server.start();
}

TEST(HttpTls, RequestsAreServedOverTls12And13AndNothingOlder) {
  HttpServer server(tls_options(Certificate("served")));
  add_routes(server);
  for (const auto& [version, name] : {std::pair{TLS1_2_VERSION, "TLSv1.2"}, std::pair{TLS1_3_VERSION, "TLSv1.3"}}) {
    TlsClient client(server.port(), version);
    ASSERT_TRUE(client.connected()) << name;
    EXPECT_EQ(client.version(), name);
    for (int i = 0; i < 3; ++i) {
      const std::string body(static_cast<size_t>(1 + i * 50'000), 'x');
      ASSERT_TRUE(client.send(post_request("/echo", body)));
      std::string reply;
      while (reply.find("\r\n\r\n") == std::string::npos) reply += client.receive(1);
      const size_t left = reply.find("\r\n\r\n") + 4 + body.size() - reply.size();
      reply += client.receive(left);
      EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply.substr(0, 40);
      EXPECT_TRUE(reply.ends_with(body));
    }
  }
  EXPECT_FALSE(TlsClient(server.port(), TLS1_1_VERSION).connected());
  EXPECT_EQ(server.counts().requests, 6);
}

TEST(HttpTls, TheEndOfAConnectionIsSaid) {
  HttpServer server(tls_options(Certificate("end")));
  add_routes(server);
  TlsClient client(server.port());
  ASSERT_TRUE(client.send(post_request("/echo", "last", "Connection: close\r\n")));
  EXPECT_TRUE(client.receive(1 << 20).ends_with("last"));
  EXPECT_TRUE(client.ended_in_order());
}

TEST(HttpTls, PlainTextAndSilenceAtATlsPortEndTheConnection) {
  const Certificate certificate("plain");
  HttpOptions o = tls_options(certificate);
  HttpServer patient(o);
  add_routes(patient);
  HttpClient plain(patient.port());
  ASSERT_TRUE(plain.send(get_request("/echo")));
  EXPECT_TRUE(plain.is_closed());
  EXPECT_EQ(patient.counts().requests, 0);
  EXPECT_EQ(patient.counts().timeouts, 0);
  o.head_time = std::chrono::milliseconds(100);
  HttpServer server(o);
  add_routes(server);
  EXPECT_TRUE(HttpClient(server.port()).is_closed());
  EXPECT_EQ(server.counts().requests, 0);
  EXPECT_EQ(server.counts().timeouts, 1);
}

TEST(HttpTls, FilesThatAreNoCertificateAreNamed) {
  const Certificate good("good"), other("other"), locked("locked", "secret");
  const auto error = [](const std::string& certificate, const std::string& key) {
    HttpOptions o;
    o.port = 0;
    o.certificate = certificate;
    o.private_key = key;
    return text_of<IoError>([&] { HttpServer server(o); });
  };
  EXPECT_NE(error(good.file + "x", good.key_file).find("good.crtx: cannot be used as a PEM certificate"),
            std::string::npos);
  EXPECT_NE(error(good.key_file, good.key_file).find("good.key: cannot be used as a PEM certificate"),
            std::string::npos);
  EXPECT_NE(error(good.file, good.file).find("private key"), std::string::npos);
  EXPECT_NE(error(good.file, other.key_file).find("private key"), std::string::npos);
  EXPECT_NE(error(good.file, locked.key_file).find("without a pass phrase"), std::string::npos);
}

}  // namespace
}  // namespace winnow
