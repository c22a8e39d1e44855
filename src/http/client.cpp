#include "http/client.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "base/synced.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "http/curl_library.hpp"
#include "http/pace.hpp"
#include "http/roots.hpp"

namespace slipway::http {
namespace {

constexpr std::int64_t kHeaderLimit = 64 * 1024;
constexpr long kBufferSize = 256 * 1024;
constexpr std::size_t kIdleHandles = 16;

/// An easy handle with a multi of its own: the multi keeps the connections, and its poll also watches `cancel`.
struct Handle {
  const CurlLibrary* curl;
  CURL* easy;
  CURLM* multi;
  explicit Handle(const CurlLibrary& library)
      : curl(&library), easy(library.easy_init()), multi(library.multi_init()) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (easy != nullptr) curl->easy_cleanup(easy);
    if (multi != nullptr) curl->multi_cleanup(multi);
  }
};

/// A header line could smuggle further lines into the request.
Status check_line(std::string_view text) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }))
    return fail(Code::kInvalidArgument, "a header line holds a line break: {}", quoted(text.substr(0, 40)));
  return {};
}

/// A proxy without its user and password.
std::string shown_proxy(std::string_view proxy) {
  const auto scheme = proxy.find("://") + 3;
  const auto at = proxy.rfind('@');
  if (at == std::string_view::npos) return printable(proxy, 300);
  return printable(fmt::format("{}{}", proxy.substr(0, scheme), proxy.substr(at + 1)), 300);
}

Trouble trouble_of(CURLcode code, bool encrypted, std::string_view detail) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Trouble::kResolve;
    case CURLE_COULDNT_CONNECT:
      return Trouble::kConnect;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
      return Trouble::kCertificate;
    case CURLE_SSL_CONNECT_ERROR:
      // An alert is an answer in TLS; anything else (wrong version number, reset, end of file) is none.
      return detail.find("alert") == std::string_view::npos ? Trouble::kNotTls : Trouble::kTlsRefused;
    case CURLE_OPERATION_TIMEDOUT:
      return Trouble::kTimeout;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return encrypted ? Trouble::kBroken : Trouble::kNotTls;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return Trouble::kBroken;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_OUT_OF_MEMORY:  // a header line beyond curl's own limit ends so
      return Trouble::kProtocol;
    default:
      return Trouble::kOther;
  }
}

Code code_of(Trouble trouble) {
  switch (trouble) {
    case Trouble::kTimeout:
      return Code::kDeadlineExceeded;
    case Trouble::kCertificate:
    case Trouble::kTlsRefused:
    case Trouble::kProxy:
      return Code::kFailedPrecondition;  // nobody refused anything: somebody has to be trusted, or named, first
    case Trouble::kProtocol:
      return Code::kDataLoss;
    case Trouble::kCancelled:
      return Code::kCancelled;
    default:
      return Code::kUnavailable;
  }
}

/// One exchange on one handle: options, callbacks, loop, and what came of it.
class Transfer {
 public:
  Transfer(Handle& handle, const ClientOptions& options, const Request& request, const Reader& reader,
           const Cancel& cancel)
      : handle_(handle),
        options_(options),
        request_(request),
        reader_(reader),
        cancel_(cancel),
        proxy_(options.proxies.for_url(request.url)),
        pace_({options.silence_timeout_ms, options.slowest_bytes, options.slow_window_ms}, monotonic_ms()) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    handle_.curl->easy_reset(handle_.easy);
    handle_.curl->slist_free_all(headers_);
  }

  /// `roots` are for whatever speaks TLS, the proxy included. `handshake`: the peer of an https address may be any
  /// stranger, and nothing is sent to it.
  Status prepare(Roots roots, bool handshake);
  Outcome run();

 private:
  void set(CURLoption option, long value) { note(option, handle_.curl->easy_setopt(handle_.easy, option, value)); }
  void set(CURLoption option, const char* value) {
    note(option, handle_.curl->easy_setopt(handle_.easy, option, value));
  }
  void set(CURLoption option, void* value) { note(option, handle_.curl->easy_setopt(handle_.easy, option, value)); }
  void set_offset(CURLoption option, curl_off_t value) {
    note(option, handle_.curl->easy_setopt(handle_.easy, option, value));
  }
  template <class Function>
  void set_function(CURLoption option, Function* function) {
    note(option, handle_.curl->easy_setopt(handle_.easy, option, function));
  }
  void note(CURLoption option, CURLcode code) {
    if (code == CURLE_OK || refused_ != CURLE_OK) return;
    refused_ = code;
    refused_option_ = option;
  }

  Status add_headers();
  void set_body();
  void set_tls();
  void set_roots();
  std::optional<CURLcode> finished();
  Outcome conclude(CURLcode code);
  std::optional<std::string> connect_detail() const;
  [[nodiscard]] bool failed_at_proxy(CURLcode code) const;
  Failure proxy_failure(CURLcode code, std::string_view detail) const;
  Failure failure(Trouble trouble, std::string_view detail) const;
  /// Calls something of the caller's; its time is not the network's.
  template <class Function>
  auto outside(Function function) {
    const std::int64_t before = monotonic_ms();
    auto result = function();
    away_ms_ += monotonic_ms() - before;
    return result;
  }
  [[nodiscard]] std::int64_t clock() const { return monotonic_ms() - away_ms_; }
  [[nodiscard]] std::int64_t sent() const;
  std::optional<std::string> lateness();
  bool stop(Status status);
  bool give_head();
  /// An exchange, not only a handshake.
  [[nodiscard]] bool asks() const { return !handshake_; }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_read(char* buffer, std::size_t, std::size_t size, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static CURLcode on_tls(CURL* easy, void* context, void* self);

  Handle& handle_;
  const ClientOptions& options_;
  const Request& request_;
  const Reader& reader_;
  const Cancel& cancel_;
  const std::string proxy_;  ///< may hold a password
  Roots roots_;
  bool handshake_ = false;  ///< nothing but it
  curl_slist* headers_ = nullptr;
  CURLcode refused_ = CURLE_OK;
  CURLoption refused_option_ = CURLOPT_URL;
  std::array<char, CURL_ERROR_SIZE> detail_{};
  Response response_;
  std::int64_t header_bytes_ = 0;
  bool head_ended_ = false;  ///< the empty line after the headers came
  bool head_given_ = false;
  std::optional<Error> reader_error_;
  std::optional<std::string> protocol_error_;
  Pace pace_;
  std::int64_t away_ms_ = 0;   ///< spent in callbacks of the caller
  std::int64_t received_ = 0;  ///< bytes of the answer's body
  bool body_ended_ = false;    ///< all of the question's was read
};

Status Transfer::prepare(Roots roots, bool handshake) {
  roots_ = std::move(roots);
  handshake_ = handshake;
  handle_.curl->easy_reset(handle_.easy);
  set(CURLOPT_URL, request_.url.text().c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // a cancel does not wait for the resolver's thread
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout_ms));
  // A wish: a handle whose last connection failed may still hold its buffer, and then refuses another size.
  (void)handle_.curl->easy_setopt(handle_.easy, CURLOPT_BUFFERSIZE, kBufferSize);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (request_.lone) {
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
  }
  set(CURLOPT_ERRORBUFFER, static_cast<void*>(detail_.data()));
  if (!options_.user_agent.empty()) set(CURLOPT_USERAGENT, options_.user_agent.c_str());
  set(CURLOPT_PROXY, proxy_.c_str());
  set(CURLOPT_NOPROXY, "");  // that was judged already
  set_function(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set_function(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  if (request_.method == "HEAD") set(CURLOPT_NOBODY, 1L);
  set_body();
  if (request_.method != "GET" && request_.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  set_roots();
  if (request_.url.scheme() == "https") set_tls();
  TRY(add_headers());
  if (refused_ != CURLE_OK)
    return fail(Code::kInternal, "libcurl refuses option {}: {}", static_cast<int>(refused_option_),
                handle_.curl->easy_strerror(refused_));
  return {};
}

Status Transfer::add_headers() {
  const auto append = [&](const std::string& line) {
    if (curl_slist* longer = handle_.curl->slist_append(headers_, line.c_str())) headers_ = longer;
  };
  append("Expect:");  // no second of waiting before a body is sent
  append("Content-Type:");
  for (const auto& header : request_.headers) {
    TRY(check_line(header.name));
    TRY(check_line(header.value));
    append(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  set(CURLOPT_HTTPHEADER, static_cast<void*>(headers_));
  return {};
}

void Transfer::set_body() {
  if (!request_.body) return;
  set(CURLOPT_UPLOAD, 1L);
  set_function(CURLOPT_READFUNCTION, &Transfer::on_read);
  set(CURLOPT_READDATA, static_cast<void*>(this));
  (void)handle_.curl->easy_setopt(handle_.easy, CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
  set_offset(CURLOPT_INFILESIZE_LARGE, request_.body->size.value_or(-1));
  if (request_.body->rewind) {
    set_function(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
    set(CURLOPT_SEEKDATA, static_cast<void*>(this));
  }
}

/// Neither file nor directory nor libcurl's cache of them: the roots come through on_tls().
void Transfer::set_roots() {
  for (const CURLoption option : {CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_PROXY_CAINFO, CURLOPT_PROXY_CAPATH})
    set(option, static_cast<const char*>(nullptr));
  set(CURLOPT_CA_CACHE_TIMEOUT, 0L);
  set_function(CURLOPT_SSL_CTX_FUNCTION, &Transfer::on_tls);
  set(CURLOPT_SSL_CTX_DATA, static_cast<void*>(this));
}

void Transfer::set_tls() {
  if (handshake_) {
    set(CURLOPT_CONNECT_ONLY, 1L);
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
    return;
  }
  if (!request_.tls.verify) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (request_.tls.certificate_file.empty()) return;
  set(CURLOPT_SSLCERT, request_.tls.certificate_file.c_str());
  set(CURLOPT_SSLKEY, request_.tls.key_file.c_str());
}

CURLcode Transfer::on_tls(CURL*, void* context, void* self) {
  const Roots& roots = static_cast<Transfer*>(self)->roots_;
  if (roots) use_roots(static_cast<ssl_ctx_st*>(context), roots);
  return CURLE_OK;
}

bool Transfer::stop(Status status) {
  if (status) return false;
  if (!reader_error_) reader_error_ = std::move(status).error();
  return true;
}

bool Transfer::give_head() {
  if (std::exchange(head_given_, true) || !reader_.head) return true;
  return !stop(outside([&] { return reader_.head(response_); }));
}

std::size_t Transfer::on_header(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.header_bytes_ += static_cast<std::int64_t>(size);
  if (transfer.header_bytes_ > kHeaderLimit) {
    transfer.protocol_error_ = fmt::format("it sent more than {} bytes of headers", kHeaderLimit);
    return 0;
  }
  if (transfer.head_given_) return size;  // trailers
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) {  // the next answer; an earlier one was 1xx
    transfer.response_.headers.clear();
    const std::string_view words = trim(line);
    const auto phrase = words.find(' ', std::min(words.find(' '), words.size() - 1) + 1);
    transfer.response_.reason = phrase == std::string_view::npos ? "" : std::string(trim(words.substr(phrase)));
    return size;
  }
  long status = 0;
  transfer.handle_.curl->easy_getinfo(transfer.handle_.easy, CURLINFO_RESPONSE_CODE, &status);
  if (trim(line).empty() && status >= 200) {
    transfer.head_ended_ = true;
    transfer.pace_.event(transfer.clock());
  }
  const auto colon = line.find(':');
  if (colon != std::string_view::npos)
    transfer.response_.headers.add(std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
  return size;
}

std::size_t Transfer::on_body(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (!transfer.head_given_) {
    long status = 0;
    transfer.handle_.curl->easy_getinfo(transfer.handle_.easy, CURLINFO_RESPONSE_CODE, &status);
    transfer.response_.status = static_cast<int>(status);
  }
  if (!transfer.give_head()) return 0;
  transfer.received_ += static_cast<std::int64_t>(size);
  const auto give = [&] { return transfer.reader_.body(std::string_view(data, size)); };
  if (transfer.reader_.body && transfer.stop(transfer.outside(give))) return 0;
  return size;
}

std::size_t Transfer::on_read(char* buffer, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  auto got = transfer.outside([&] { return transfer.request_.body->read(buffer, size); });
  if (!got) {
    (void)transfer.stop(std::unexpected(std::move(got).error()));
    return CURL_READFUNC_ABORT;
  }
  if (*got == 0) transfer.body_ended_ = true;
  return *got;
}

int Transfer::on_seek(void* self, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  return transfer.stop(transfer.request_.body->rewind()) ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

std::optional<CURLcode> Transfer::finished() {
  int left = 0;
  while (const CURLMsg* message = handle_.curl->multi_info_read(handle_.multi, &left))
    if (message->msg == CURLMSG_DONE) return message->data.result;
  return std::nullopt;
}

/// Bytes of the body that have reached the peer's TCP: what waits in our socket may never leave it.
std::int64_t Transfer::sent() const {
  if (!request_.body) return 0;
  curl_off_t given = 0;
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_SIZE_UPLOAD_T, &given);
  curl_socket_t socket = CURL_SOCKET_BAD;
  int waiting = 0;
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_ACTIVESOCKET, &socket);
  if (socket == CURL_SOCKET_BAD || ::ioctl(socket, SIOCOUTQ, &waiting) != 0) waiting = 0;
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(given) - waiting);
}

/// Why the transfer is to be ended for being too slow, if it is.
std::optional<std::string> Transfer::lateness() {
  const std::int64_t gone = sent();
  const bool sending =
      request_.body && !(body_ended_ && !request_.body->size) && gone < request_.body->size.value_or(gone + 1);
  return pace_.late(clock(), received_ + gone, received_ > 0 || (gone > 0 && sending));
}

Outcome Transfer::run() {
  pace_.event(clock());
  if (handle_.curl->multi_add_handle(handle_.multi, handle_.easy) != CURLM_OK)
    return std::unexpected(failure(Trouble::kOther, "libcurl has no memory"));
  const auto leave = [&](Outcome outcome) {
    handle_.curl->multi_remove_handle(handle_.multi, handle_.easy);
    return outcome;
  };
  while (true) {
    int running = 0;
    if (handle_.curl->multi_perform(handle_.multi, &running) != CURLM_OK)
      return leave(std::unexpected(failure(Trouble::kOther, "libcurl has no memory")));
    if (const auto code = finished()) return leave(conclude(*code));
    if (auto status = cancel_.check(); !status)
      return leave(std::unexpected(Failure{Trouble::kCancelled, std::move(status).error()}));
    if (const auto late = lateness()) return leave(std::unexpected(failure(Trouble::kTimeout, *late)));
    if (reader_.idle && stop(reader_.idle()))
      return leave(std::unexpected(Failure{Trouble::kReader, *std::move(reader_error_)}));
    curl_waitfd wait{cancel_.fd(), CURL_WAIT_POLLIN, 0};
    handle_.curl->multi_poll(handle_.multi, &wait, cancel_.fd() >= 0 ? 1 : 0, pace_.next_look_ms(), nullptr);
  }
}

Outcome Transfer::conclude(CURLcode code) {
  if (reader_error_) return std::unexpected(Failure{Trouble::kReader, *std::move(reader_error_)});
  if (protocol_error_) return std::unexpected(failure(Trouble::kProtocol, *protocol_error_));
  // libcurl takes headers that a closed connection cut short for all that there are.
  if (code == CURLE_OK && asks() && !head_ended_)
    return std::unexpected(failure(Trouble::kBroken, "the answer ends in its headers"));
  if (code == CURLE_OK) {
    long status = 0;
    handle_.curl->easy_getinfo(handle_.easy, CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    if (!give_head()) return std::unexpected(Failure{Trouble::kReader, *std::move(reader_error_)});
    return std::move(response_);
  }
  curl_off_t handshake = 0;
  long connections = 0;
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_APPCONNECT_TIME_T, &handshake);
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_NUM_CONNECTS, &connections);
  const bool encrypted = request_.url.scheme() == "http" || handshake > 0 || connections == 0;
  const std::string_view detail = detail_[0] != '\0' ? detail_.data() : handle_.curl->easy_strerror(code);
  if (failed_at_proxy(code)) return std::unexpected(proxy_failure(code, detail));
  const Trouble trouble = trouble_of(code, encrypted, detail);
  // OpenSSL loses why a handshake inside of another one was given up.
  if (trouble == Trouble::kNotTls && asks() && proxy_.starts_with("https:"))
    return std::unexpected(failure(Trouble::kCertificate, "the handshake broke off, most likely over its certificate"));
  return std::unexpected(failure(trouble, detail));
}

/// The system's own words for a connection that failed ("Connection refused"); curl's repeat host and port.
std::optional<std::string> Transfer::connect_detail() const {
  long number = 0;
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_OS_ERRNO, &number);
  if (number == 0) return std::nullopt;
  return std::system_category().message(static_cast<int>(number));
}

/// Whether it was the proxy that could not be reached, failed, or refused: nothing came to the peer.
bool Transfer::failed_at_proxy(CURLcode code) const {
  if (proxy_.empty() || code == CURLE_OPERATION_TIMEDOUT) return false;
  if (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY || code == CURLE_COULDNT_CONNECT) return true;
  long connections = 0;
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_NUM_CONNECTS, &connections);
  if (connections == 0) return false;  // a tunnel that was there already
  if (request_.url.scheme() == "http") return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR;
  long answer = 0;
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_HTTP_CONNECTCODE, &answer);
  return proxy_.starts_with("http") && answer / 100 != 2;
}

Failure Transfer::proxy_failure(CURLcode code, std::string_view detail) const {
  long answer = 0;
  handle_.curl->easy_getinfo(handle_.easy, CURLINFO_HTTP_CONNECTCODE, &answer);
  const auto told = [&](Trouble trouble, std::string_view verb, std::string_view why) {
    Error error(code_of(trouble), fmt::format("{} the proxy {} on the way to {}: {}", verb, shown_proxy(proxy_),
                                              printable(request_.url.authority()), why));
    error.with_hint(answer == 407 ? "the proxy wants a user and a password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
                                  : "the proxy is that of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; hosts that NO_PROXY "
                                    "names are reached without it");
    return Failure{trouble, std::move(error)};
  };
  // libcurl's words may hold the proxy's URL.
  const std::string words = detail.contains('@') && proxy_.contains('@') ? "no reason to show" : printable(detail, 512);
  if (code == CURLE_COULDNT_RESOLVE_PROXY) return told(Trouble::kResolve, "cannot find", "its name has no address");
  if (code == CURLE_COULDNT_CONNECT)
    return told(Trouble::kConnect, "cannot connect to", connect_detail().value_or(words));
  if (code == CURLE_PEER_FAILED_VERIFICATION) return told(Trouble::kProxy, "cannot trust", words);
  if (answer != 0) return told(Trouble::kProxy, "refused by", fmt::format("it answered {}", answer));
  return told(Trouble::kProxy, "no way through", words);
}

Failure Transfer::failure(Trouble trouble, std::string_view detail) const {
  const std::string by = proxy_.empty() ? "" : fmt::format(" through the proxy {}", shown_proxy(proxy_));
  const std::string where = printable(request_.url.origin()) + by;
  // libcurl's words may hold the proxy's URL
  const std::string why = detail.contains('@') && proxy_.contains('@') ? "no reason to show" : printable(detail, 512);
  std::string what;
  switch (trouble) {
    case Trouble::kResolve:
      what = fmt::format("cannot find the host {}{}", printable(request_.url.host()), by);
      break;
    case Trouble::kConnect:
      what = fmt::format("cannot connect to {}{}: {}", printable(request_.url.authority()), by,
                         connect_detail().value_or(why));
      break;
    case Trouble::kNotTls:
    case Trouble::kTlsRefused:
      what = fmt::format("cannot connect to {}: {}", where, why);
      break;
    case Trouble::kCertificate:
      what = fmt::format("cannot trust {}: {}", where, why);
      break;
    default:
      what = fmt::format("transfer with {} failed: {}", where, why);
  }
  return {trouble, Error(code_of(trouble), std::move(what))};
}

}  // namespace

std::optional<std::string> Headers::find(std::string_view name) const {
  const std::string wanted = lower(name);
  for (const auto& header : list_)
    if (lower(header.name) == wanted) return header.value;
  return std::nullopt;
}

std::vector<std::string> Headers::all(std::string_view name) const {
  const std::string wanted = lower(name);
  std::vector<std::string> values;
  for (const auto& header : list_)
    if (lower(header.name) == wanted) values.push_back(header.value);
  return values;
}

Body Body::of(std::string text) {
  struct Reading {
    std::string text;
    std::size_t at = 0;
  };
  auto state = std::make_shared<Reading>(Reading{std::move(text)});
  Body body;
  body.size = static_cast<std::int64_t>(state->text.size());
  body.read = [state](char* buffer, std::size_t size) -> Result<std::size_t> {
    const std::size_t taken = state->text.copy(buffer, size, state->at);
    state->at += taken;
    return taken;
  };
  body.rewind = [state]() -> Status {
    state->at = 0;
    return {};
  };
  return body;
}

struct Client::State {
  using Handles = std::vector<std::unique_ptr<Handle>>;

  ClientOptions options;
  /// By extra roots: a connection that one host's roots vouched for is never reused for a request with others.
  Synced<std::map<std::string, Handles>> idle;
  Synced<std::map<std::string, Roots>> roots;

  Result<std::unique_ptr<Handle>> take(const CurlLibrary& curl, const std::string& extra_roots) {
    {
      auto all = idle.lock();
      auto& handles = (*all)[extra_roots];
      if (!handles.empty()) {
        // The last one that came back is the one with a warm connection.
        auto handle = std::move(handles.back());
        handles.pop_back();
        return handle;
      }
    }
    auto handle = std::make_unique<Handle>(curl);
    if (handle->easy == nullptr || handle->multi == nullptr)
      return fail(Code::kResourceExhausted, "libcurl has no memory");
    return handle;
  }

  void give_back(std::unique_ptr<Handle> handle, const std::string& extra_roots) {
    auto all = idle.lock();
    auto& handles = (*all)[extra_roots];
    if (handles.size() < kIdleHandles) handles.push_back(std::move(handle));
  }

  Result<Roots> roots_with(const std::string& extra) {
    auto known = roots.lock();  // held while they are read: others need them as well
    auto& found = (*known)[extra];
    if (!found) found = TRY(load_roots(options.ca_file, options.ca_directory, extra));
    return found;
  }

  /// `handshake`: with whoever answers, and nothing more.
  Outcome exchange(const Request& request, const Reader& reader, bool handshake, const Cancel& cancel);
};

Outcome Client::State::exchange(const Request& request, const Reader& reader, bool handshake, const Cancel& cancel) {
  const auto other = [](Error error) { return std::unexpected(Failure{Trouble::kOther, std::move(error)}); };
  if (auto status = cancel.check(); !status)
    return std::unexpected(Failure{Trouble::kCancelled, std::move(status).error()});
  const auto curl = curl_library();
  if (!curl) return other(curl.error());
  Roots roots;
  if ((request.url.scheme() == "https" && !handshake) || options.proxies.for_url(request.url).starts_with("https:")) {
    auto loaded = roots_with(request.tls.extra_roots);
    if (!loaded) return std::unexpected(Failure{Trouble::kCertificate, std::move(loaded).error()});
    roots = *std::move(loaded);
  }
  // Connections are kept by what they trust: one that was not verified serves nobody else.
  const std::string trusted = request.tls.verify ? request.tls.extra_roots : "anybody";
  auto handle = take(**curl, trusted);
  if (!handle) return other(std::move(handle).error());
  Outcome outcome = [&]() -> Outcome {
    Transfer transfer(**handle, options, request, reader, cancel);
    if (auto prepared = transfer.prepare(std::move(roots), handshake); !prepared)
      return other(std::move(prepared).error());
    return transfer.run();
  }();
  give_back(*std::move(handle), trusted);
  return outcome;
}

Client::Client(ClientOptions options) : state_(std::make_unique<State>()) { state_->options = std::move(options); }
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Outcome Client::send(const Request& request, const Reader& reader, const Cancel& cancel) const {
  return state_->exchange(request, reader, false, cancel);
}

std::expected<bool, Failure> Client::speaks_tls(const Url& url, const Cancel& cancel) const {
  const auto outcome = state_->exchange({.url = url}, {}, true, cancel);
  if (outcome || outcome.error().trouble == Trouble::kTlsRefused) return true;
  if (outcome.error().trouble == Trouble::kNotTls) return false;
  return std::unexpected(outcome.error());
}

}  // namespace slipway::http
