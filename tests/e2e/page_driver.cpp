// A person at the page of `winnow serve`, played in headless Chromium through its DevTools protocol: recommendations
// for a user, a click that the next list and the history know, a search.
// Usage: page_driver CHROMIUM URL WORD SCREENSHOT.png PROFILE    exit code 1 and a line on stderr when a step fails
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using Json = nlohmann::json;
using namespace std::chrono_literals;

constexpr auto kLongest = 120s;  // for what hangs

class Browser {
 public:
  Browser(const std::string& program, const std::string& profile) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) throw std::runtime_error("no pipe");
    child_ = fork();
    if (child_ == 0) {
      dup2(pipe_ends[1], 2);
      close(pipe_ends[0]);
      const std::string directory = "--user-data-dir=" + profile;
      execl(program.c_str(), program.c_str(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", "--window-size=1200,1180", "--remote-debugging-port=0", directory.c_str(),
            "about:blank", nullptr);
      _exit(127);
    }
    close(pipe_ends[1]);
    err_ = pipe_ends[0];
  }
  ~Browser() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    close(err_);
  }
  // host:port of "DevTools listening on ws://127.0.0.1:37571/devtools/browser/..."
  std::string devtools() {
    std::string text;
    const std::string mark = "DevTools listening on ws://";
    for (char buffer[4096];;) {
      const ssize_t n = read(err_, buffer, sizeof buffer);
      if (n <= 0) throw std::runtime_error("the browser ended: " + text);
      text.append(buffer, static_cast<size_t>(n));
      const size_t at = text.find(mark), end = at == std::string::npos ? at : text.find('/', at + mark.size());
      if (end == std::string::npos) continue;
      std::thread([fd = err_] {  // what the browser says later must not fill the pipe
        for (char rest[4096]; read(fd, rest, sizeof rest) > 0;) {}
      })
          .detach();
      return text.substr(at + mark.size(), end - at - mark.size());
    }
  }

 private:
  pid_t child_ = -1;
  int err_ = -1;
};

class Page {
 public:
  Page(const std::string& host, const std::string& port) : socket_(context_) {
    const std::string path = target(host, port);
    net::ip::tcp::resolver resolver(context_);
    net::connect(beast::get_lowest_layer(socket_), resolver.resolve(host, port));
    socket_.handshake(host + ":" + port, path);
    socket_.read_message_max(64 << 20);
  }
  Json call(const std::string& method, const Json& parameters) {
    const int id = ++last_;
    socket_.write(net::buffer(Json{{"id", id}, {"method", method}, {"params", parameters}}.dump()));
    while (true) {
      beast::flat_buffer buffer;
      socket_.read(buffer);
      const Json reply = Json::parse(beast::buffers_to_string(buffer.data()));
      if (reply.value("id", 0) != id) continue;
      if (reply.contains("error")) throw std::runtime_error(method + ": " + reply["error"].dump());
      return reply["result"];
    }
  }
  Json evaluate(const std::string& script) {
    const Json result =
        call("Runtime.evaluate", {{"expression", script}, {"returnByValue", true}, {"awaitPromise", true}});
    if (result.contains("exceptionDetails"))
      throw std::runtime_error(script + ": " + result["exceptionDetails"].dump());
    return result["result"].value("value", Json());
  }
  void wait_for(const std::string& condition) {
    const auto end = std::chrono::steady_clock::now() + kLongest;
    while (std::chrono::steady_clock::now() < end) {
      if (evaluate(condition) == true) return;
      std::this_thread::sleep_for(50ms);
    }
    throw std::runtime_error("did not come about: " + condition +
                             "; the page says: " + evaluate("document.body.innerText").dump());
  }

 private:
  std::string target(const std::string& host, const std::string& port) {
    const auto end = std::chrono::steady_clock::now() + kLongest;
    while (std::chrono::steady_clock::now() < end) {
      beast::tcp_stream http(context_);
      http.connect(net::ip::tcp::resolver(context_).resolve(host, port));
      beast::http::request<beast::http::empty_body> request(beast::http::verb::get, "/json/list", 11);
      request.set("Host", "localhost");
      beast::http::write(http, request);
      beast::flat_buffer buffer;
      beast::http::response<beast::http::string_body> reply;
      beast::http::read(http, buffer, reply);
      const Json list = Json::parse(reply.body(), nullptr, false);
      if (list.is_array())
        for (const Json& t : list)
          if (t.value("type", "") == "page") {
            const std::string url = t["webSocketDebuggerUrl"];
            return url.substr(url.find('/', 5 + 1 + 1));
          }
      std::this_thread::sleep_for(50ms);
    }
    throw std::runtime_error("the browser shows no page");
  }
  net::io_context context_;
  beast::websocket::stream<net::ip::tcp::socket> socket_;
  int last_ = 0;
};

void expect(bool holds, const std::string& text) {
  if (!holds) throw std::runtime_error(text);
}

std::vector<unsigned char> from_base64(const std::string& text) {
  std::vector<unsigned char> bytes;
  unsigned bits = 0, count = 0;
  for (const char c : text) {
    static const std::string kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kDigits.find(c);
    if (digit == std::string::npos) break;
    bits = bits << 6 | static_cast<unsigned>(digit);
    count += 6;
    if (count >= 8) bytes.push_back(static_cast<unsigned char>(bits >> (count -= 8)));
  }
  return bytes;
}

void play(Page& page, const std::string& url, const std::string& word, const std::string& screenshot) {
  page.call("Page.enable", Json::object());
  page.call("Page.navigate", {{"url", url}});
  page.wait_for("document.querySelectorAll('#items li').length == 10");
  const std::string first = page.evaluate("document.querySelector('#items li').dataset.item");
  expect(page.evaluate("document.querySelector('#items li .why').textContent.length > 3") == true,
         "no reason is shown");
  page.evaluate("document.querySelector('#items li button').click()");
  page.wait_for(
      "document.querySelectorAll('#items li').length == 10 && ![...document.querySelectorAll('#items li')].some(li => "
      "li.dataset.item == '" +
      first + "')");
  page.wait_for("document.querySelector('#history li')?.dataset.item == '" + first + "'");
  expect(page.evaluate("document.querySelector('#history li .why').textContent") == "just now, liked",
         "the history does not say that it was liked just now");
  page.evaluate("document.querySelector('#search [name=query]').value = " + Json(word).dump() +
                "; document.querySelector('#search button').click()");
  page.wait_for("document.querySelectorAll('#found li').length > 0");
  expect(page.evaluate("document.querySelector('#found li .what div').textContent.toLowerCase().includes(" +
                       Json(word).dump() + ")") == true,
         "the first hit does not hold the word");
  page.evaluate(
      "document.querySelector('#recommend [name=user]').value = ''; "
      "document.querySelector('#recommend [name=filter]').value = 'nothing'; "
      "document.querySelector('#recommend button').click()");
  page.wait_for("document.querySelector('#note').className == 'error'");
  page.evaluate(
      "document.querySelector('#recommend [name=user]').value = document.querySelector('#users option').value; "
      "document.querySelector('#recommend [name=filter]').value = ''; "
      "document.querySelector('#recommend button').click()");
  page.wait_for(
      "document.querySelector('#note').className == '' && document.querySelectorAll('#items li').length == 10");
  page.wait_for("document.querySelectorAll('#routes tbody tr').length > 1");
  const Json image = page.call("Page.captureScreenshot", {{"format", "png"}});
  const auto bytes = from_base64(image["data"]);
  std::ofstream(screenshot, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: page_driver CHROMIUM URL WORD SCREENSHOT.png PROFILE\n", stderr);
    return 2;
  }
  try {
    Browser browser(argv[1], argv[5]);
    const std::string address = browser.devtools();
    Page page(address.substr(0, address.find(':')), address.substr(address.find(':') + 1));
    play(page, argv[2], argv[3], argv[4]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "page_driver: %s\n", e.what());
    return 1;
  }
  return 0;
}
