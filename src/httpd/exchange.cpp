#include "httpd/exchange.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <exception>

#include "base/text.hpp"
#include "base/time.hpp"

namespace slipway::httpd {
namespace {

constexpr std::size_t kReasonLimit = 200;
constexpr char kTlsHandshake = 0x16;  ///< the first byte of a TLS record of that kind (RFC 8446 section 5.1)
constexpr std::size_t kChunkHeadLimit = 16 * 1024;  ///< a chunk's own line and the trailers
constexpr std::int64_t kDrainBytes = 256 * 1024;    ///< of an unread body, to keep the connection

struct Phrase {
  int status;
  std::string_view text;
};
constexpr Phrase kPhrases[] = {{200, "OK"},
                               {201, "Created"},
                               {202, "Accepted"},
                               {204, "No Content"},
                               {206, "Partial Content"},
                               {304, "Not Modified"},
                               {307, "Temporary Redirect"},
                               {400, "Bad Request"},
                               {401, "Unauthorized"},
                               {403, "Forbidden"},
                               {404, "Not Found"},
                               {405, "Method Not Allowed"},
                               {408, "Request Timeout"},
                               {409, "Conflict"},
                               {412, "Precondition Failed"},
                               {413, "Content Too Large"},
                               {414, "URI Too Long"},
                               {416, "Range Not Satisfiable"},
                               {417, "Expectation Failed"},
                               {429, "Too Many Requests"},
                               {431, "Request Header Fields Too Large"},
                               {500, "Internal Server Error"},
                               {501, "Not Implemented"},
                               {502, "Bad Gateway"},
                               {503, "Service Unavailable"},
                               {504, "Gateway Timeout"},
                               {505, "HTTP Version Not Supported"},
                               {507, "Insufficient Storage"},
                               {508, "Loop Detected"}};

std::string http_date() {
  const std::time_t seconds = now().seconds;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return {text, size};
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

std::string status_line(int status) {
  for (const Phrase& phrase : kPhrases)
    if (phrase.status == status) return fmt::format("{} {}", status, phrase.text);
  return fmt::format("{} Status", status);
}

// ---------------------------------------------------------------- Request, Answer
const std::string& Request::method() const { return exchange_->served_.method; }
const Target& Request::target() const { return *exchange_->target_; }
std::vector<std::string> Request::headers(std::string_view name) const { return exchange_->parser_.headers(name); }
std::optional<std::string> Request::header(std::string_view name) const {
  auto values = headers(name);
  return values.empty() ? std::nullopt : std::optional(std::move(values.front()));
}
std::optional<std::int64_t> Request::content_length() const { return exchange_->parser_.content_length(); }
Result<std::size_t> Request::read(char* buffer, std::size_t size) { return exchange_->read(buffer, size); }
Result<std::string> Request::read_all(std::int64_t limit) {
  const auto too_long = [&] { return fail(Code::kOutOfRange, "the request's body is longer than {} bytes", limit); };
  if (content_length().value_or(0) > limit) return too_long();
  std::string all;
  char buffer[16 * 1024];
  while (const std::size_t got = TRY(read(buffer, sizeof buffer))) {
    if (std::ssize(all) + static_cast<std::int64_t>(got) > limit) return too_long();
    all.append(buffer, got);
  }
  return all;
}
const std::string& Request::peer() const { return exchange_->connection_.peer(); }
bool Request::secure() const { return exchange_->connection_.secure(); }
Cancel Request::cancel() {
  if (!exchange_->cancel_) exchange_->cancel_ = exchange_->watch_();
  return *exchange_->cancel_;
}
void Request::set_user(std::string user) { exchange_->served_.user = std::move(user); }
void Request::note(std::string text) { exchange_->served_.note = std::move(text); }

void Answer::header(std::string name, std::string_view value) {
  std::string line = std::move(name) + ": ";
  for (const char c : value) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  exchange_->headers_ += line + "\r\n";
}
void Answer::reason(std::string_view why) {
  exchange_->reason_ = ": ";
  for (const char c : why.substr(0, kReasonLimit)) exchange_->reason_ += c < 0x20 || c > 0x7e ? '?' : c;
}
Status Answer::start(int status, std::optional<std::int64_t> length) { return exchange_->start(status, length); }
Status Answer::send(int status, std::string_view body) {
  TRY(exchange_->start(status, has_no_body(status) ? 0 : std::ssize(body)));
  return has_no_body(status) ? Status() : exchange_->write(body);
}
Status Answer::write(std::string_view bytes) { return exchange_->write(bytes); }
Status Answer::write_file(int fd, std::int64_t offset, std::int64_t length) {
  return exchange_->write_file(fd, offset, length);
}
void Answer::cut() { exchange_->cut_ = true; }
bool Answer::started() const { return exchange_->started_; }

// ---------------------------------------------------------------- the course of an exchange
Exchange::After Exchange::run(const Handler& handler, const std::function<bool()>& last) {
  last_ = last;
  served_.peer = connection_.peer();
  const std::int64_t begun = monotonic_ms();
  const bool tls_hello = !connection_.secure() && inbox_.starts_with(kTlsHandshake);
  const std::size_t end = std::min(head_end(inbox_, 0), inbox_.size());  // all of one that is too long
  const auto parsed = parser_.head(std::string_view(inbox_).substr(0, end));
  input_.give(std::string_view(inbox_).substr(end));
  inbox_.clear();
  if (tls_hello) {
    refuse({400, "a TLS handshake came, and this port speaks plain HTTP; use http://"});
  } else if (!parsed) {
    refuse(parsed.error());
  } else {
    served_.method = parser_.method();
    served_.target = parser_.target();
    head_only_ = served_.method == "HEAD";
    continued_ = !parser_.wants_continue();
    auto target = Target::parse(served_.target);
    if (connection_.misdirected()) {
      refuse({400, "this port speaks TLS; use https://"});
    } else if (target) {
      target_ = std::move(*target);
      call(handler);
    } else {
      refuse({400, target.error().what()});
    }
  }
  const After after = finish();
  served_.milliseconds = monotonic_ms() - begun;
  return after;
}

void Exchange::refuse(const Refusal& refusal) {
  input_broken_ = true;  // where its body ends is anybody's guess
  served_.note = refusal.why;
  answer_.header("Content-Type", "text/plain; charset=utf-8");
  (void)answer_.send(refusal.status, refusal.why + "\n");
}

void Exchange::call(const Handler& handler) {
  try {
    handler(request_, answer_);
  } catch (const std::exception& bug) {
    served_.note = fmt::format("internal error: {}", printable(bug.what(), 300));
    if (started_) cut_ = true;
  }
  if (started_ || cut_ || output_broken_) return;
  headers_.clear();
  answer_.header("Content-Type", "text/plain; charset=utf-8");
  (void)answer_.send(500, "internal error\n");
}

Exchange::After Exchange::finish() {
  if (!cut_ && !output_broken_) {
    if (chunked_ && !head_only_) head_ += "0\r\n\r\n";
    if (!head_.empty()) (void)keep(connection_.write(std::exchange(head_, {})));
  }
  served_.whole = !cut_ && !output_broken_ && left_.value_or(0) == 0;
  if (!served_.whole) return After::kCut;
  if (input_broken_) return After::kLinger;
  if (close_) return After::kLinger;
  inbox_ = input_.pending();
  return After::kKeep;
}

/// Takes the rest of a body that the handler did not want, as far as it is here: that saves the connection. Nobody
/// waits for more of it: the poller drops what still comes.
bool Exchange::drain_now() {
  if (!continued_ || input_broken_ || parser_.content_length().value_or(0) > kDrainBytes) return parser_.done();
  std::int64_t dropped = 0;
  char buffer[16 * 1024];
  while (!parser_.done() && dropped <= kDrainBytes) {
    const std::string_view pending = input_.pending();
    const auto taken = parser_.body(pending, buffer, sizeof buffer);
    if (!taken) return false;
    input_.consume(taken->consumed);
    dropped += static_cast<std::int64_t>(taken->consumed);
    if (taken->consumed > 0) continue;
    const auto room = input_.room();
    const std::size_t got = room.empty() ? 0 : connection_.read_now(room.data(), room.size());
    if (got == 0) return false;
    input_.add(got);
  }
  return parser_.done();
}

// ---------------------------------------------------------------- the body that comes in
void Exchange::Input::give(std::string_view bytes) {
  if (bytes.empty()) return;
  have(std::max(kBytes, bytes.size()));
  std::memcpy(buffer_.get(), bytes.data(), bytes.size());
  from_ = 0;
  to_ = bytes.size();
}

void Exchange::Input::have(std::size_t bytes) {
  if (size_ >= bytes) return;
  buffer_ = std::make_unique_for_overwrite<char[]>(bytes);  // NOLINT(*-avoid-c-arrays)
  size_ = bytes;
}

std::span<char> Exchange::Input::room() {
  have(kBytes);
  if (from_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + from_, to_ - from_);
    to_ -= from_;
    from_ = 0;
  }
  return {buffer_.get() + to_, size_ - to_};
}

Result<std::size_t> Exchange::read(char* buffer, std::size_t size) {
  auto got = read_body(buffer, size);
  if (got) {
    served_.received += static_cast<std::int64_t>(*got);
  } else {
    input_broken_ = true;
    served_.note = got.error().what();
  }
  return got;
}

Result<std::size_t> Exchange::read_body(char* buffer, std::size_t size) {
  if (input_broken_) return fail(Code::kUnavailable, "the request's body broke off");
  if (!continued_) {
    continued_ = true;
    TRY(connection_.write("HTTP/1.1 100 Continue\r\n\r\n"));
  }
  while (!parser_.done()) {
    if (const std::string_view pending = input_.pending(); !pending.empty()) {
      const Parser::Taken taken = TRY(parser_.body(pending, buffer, size));
      input_.consume(taken.consumed);
      if (taken.written > 0 || parser_.done()) return taken.written;
      if (taken.consumed > 0) continue;
      if (pending.size() > kChunkHeadLimit)
        return fail(Code::kInvalidArgument, "the request's body is broken: a chunk's head is too long");
    }
    const auto room = input_.room();
    const std::size_t got = TRY(connection_.read(room.data(), room.size()));
    if (got == 0) return fail(Code::kUnavailable, "{} hung up in the middle of the request's body", connection_.peer());
    input_.add(got);
  }
  return std::size_t{0};
}

// ---------------------------------------------------------------- the answer
Status Exchange::start(int status, std::optional<std::int64_t> length) {
  if (started_) return fail(Code::kInternal, "an answer was begun twice");
  started_ = true;
  served_.status = status;
  // An answer before the whole body is here is the last: who waits for 100 will not send it now.
  close_ = input_broken_ || !parser_.keep_alive() || last_() || !drain_now() || (!length && parser_.old());
  head_ = fmt::format("HTTP/1.1 {}{}\r\nDate: {}\r\n{}", status_line(status), reason_, http_date(), headers_);
  if (length && !(has_no_body(status))) head_ += fmt::format("Content-Length: {}\r\n", *length);
  chunked_ = !length && !parser_.old() && !has_no_body(status);
  if (chunked_) head_ += "Transfer-Encoding: chunked\r\n";
  if (close_)
    head_ += "Connection: close\r\n";
  else if (parser_.old())
    head_ += "Connection: keep-alive\r\n";
  head_ += "\r\n";
  if (length && !head_only_) left_ = has_no_body(status) ? 0 : *length;
  return {};
}

/// An error of the connection ends it.
Status Exchange::keep(Status done) {
  if (!done) {
    output_broken_ = true;
    if (served_.note.empty()) served_.note = done.error().what();
  }
  return done;
}

Status Exchange::account(std::int64_t bytes) {
  if (!started_) return fail(Code::kInternal, "a body before its head");
  if (output_broken_ || cut_) return fail(Code::kUnavailable, "the connection is broken");
  if (left_ && bytes > *left_) {
    cut_ = true;
    return fail(Code::kInternal, "an answer is longer than announced");
  }
  if (left_) *left_ -= bytes;
  return {};
}

Status Exchange::write(std::string_view bytes) {
  if (head_only_) return {};
  TRY(account(std::ssize(bytes)));
  if (bytes.empty()) return {};
  std::string head = std::exchange(head_, {});
  if (chunked_) {
    head += fmt::format("{:x}\r\n", bytes.size());
    head.append(bytes).append("\r\n");
    TRY(keep(connection_.write(head)));
  } else if (head.size() + bytes.size() <= 64 * 1024) {
    TRY(keep(connection_.write(head.append(bytes))));
  } else {
    TRY(keep(connection_.write(head)));
    TRY(keep(connection_.write(bytes)));
  }
  served_.sent += std::ssize(bytes);
  return {};
}

Status Exchange::write_file(int fd, std::int64_t offset, std::int64_t length) {
  if (head_only_) return {};
  TRY(account(length));
  if (length == 0) return {};
  std::string head = std::exchange(head_, {});
  if (chunked_) head += fmt::format("{:x}\r\n", length);
  TRY(keep(connection_.write_file(head, fd, offset, length)));
  if (chunked_) TRY(keep(connection_.write("\r\n")));
  served_.sent += length;
  return {};
}

}  // namespace slipway::httpd
