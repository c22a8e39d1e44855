#include "build/remote_file.hpp"

#include <time.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "oci/json.hpp"

namespace slipway::build {
namespace {

constexpr int kRetries = 2;
constexpr int kFirstWaitMs = 250;
constexpr std::size_t kNameLimit = 255;
constexpr std::string_view kUnnamed = "__unnamed__";
constexpr std::string_view kFacts = "slipway url 2";

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_passing(int status) { return status == 408 || status == 429 || status >= 500; }

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameLimit && name != "." && name != ".." && !name.contains('/') &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string percent_decoded(std::string_view text) {
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && nibble(text[i + 1]) >= 0 && nibble(text[i + 2]) >= 0) {
      out += static_cast<char>(nibble(text[i + 1]) * 16 + nibble(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string base_name(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

/// filename of `attachment; filename="a b.txt"`; empty when there is none.
std::string disposition_name(std::string_view text) {
  for (auto part : split(text, ';')) {
    part = trim(part);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || lower(trim(part.substr(0, equals))) != "filename") continue;
    std::string_view value = trim(part.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return base_name(value);
  }
  return "";
}

}  // namespace

std::string remote_file_name(const http::Url& url, const std::optional<std::string>& disposition) {
  const std::string target = url.target();
  std::string name = base_name(percent_decoded(target.substr(0, target.find('?'))));
  if (is_name(name)) return name;
  if (disposition) name = disposition_name(*disposition);
  return is_name(name) ? name : std::string(kUnnamed);
}

std::optional<std::int64_t> parse_http_date(const std::string& text) {
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  // IMF-fixdate, RFC 9110 section 5.6.7; the two obsolete forms are not sent by anybody.
  const std::string_view view = trim(text);
  if (view.size() != 29 || !view.ends_with(" GMT") || view.substr(3, 2) != ", ") return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) -> int {
    const auto value = parse_size(view.substr(at, size));
    return value ? static_cast<int>(*value) : -1;
  };
  const auto month = std::find(kMonths.begin(), kMonths.end(), view.substr(8, 3));
  struct tm parts{};
  parts.tm_mday = number(5, 2);
  parts.tm_mon = static_cast<int>(month - kMonths.begin());
  parts.tm_year = number(12, 4) - 1900;
  parts.tm_hour = number(17, 2);
  parts.tm_min = number(20, 2);
  parts.tm_sec = number(23, 2);
  if (month == kMonths.end() || parts.tm_mday < 1 || parts.tm_mday > 31 || parts.tm_year < 70 || parts.tm_hour < 0 ||
      parts.tm_hour > 23 || parts.tm_min < 0 || parts.tm_min > 59 || parts.tm_sec < 0 || parts.tm_sec > 60)
    return std::nullopt;
  return ::timegm(&parts);
}

/// What was learnt of a URL by the last transfer. As text: kFacts, then a line each.
struct RemoteFiles::Known {
  RemoteFile file;
  std::string etag, last_modified;
};

struct RemoteFiles::Answer {
  http::Response response;
  std::optional<store::Blob> blob;  ///< the body of a success
};

/// A signed URL is a credential: its digest stands for it. What was had with credentials is known apart: it says
/// nothing to those who have none.
Result<std::string> RemoteFiles::fact_id(const http::Url& url) const {
  const bool guarded = TRY(authorization(url)).has_value();
  return shop_.scope + " " + oci::Digest::of(url.text()).text() + (guarded ? " with credentials" : "");
}

std::string shown_url(std::string_view url) {
  const auto query = url.find('?');
  return query == std::string_view::npos ? std::string(url) : std::string(url.substr(0, query)) + "?…";
}

Result<std::optional<RemoteFiles::Known>> RemoteFiles::recall(const http::Url& url) const {
  const auto text = TRY(shop_.store.recall("url", TRY(fact_id(url))));
  if (!text) return std::nullopt;
  const auto lines = split(*text, '\n');
  if (lines.size() != 7 || lines[0] != kFacts) return std::nullopt;
  const auto digest = oci::Digest::parse(lines[1]);
  const auto size = parse_size(lines[2]);
  const auto modified = parse_size(lines[3]);
  if (!digest || !size || !modified || !is_name(lines[4])) return std::nullopt;
  return Known{{*digest, *size, std::string(lines[4]), *modified}, std::string(lines[5]), std::string(lines[6])};
}

Status RemoteFiles::remember(const http::Url& url, const Known& known) const {
  const RemoteFile& file = known.file;
  return shop_.store.remember("url", TRY(fact_id(url)),
                              fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", kFacts, file.digest.text(), file.size,
                                          file.modified, file.name, known.etag, known.last_modified));
}

Result<std::optional<http::Header>> RemoteFiles::authorization(const http::Url& url) const {
  const auto secret = [&](std::string_view prefix) -> const Secret* {
    for (const auto& host : {url.authority(), url.host()})
      for (const auto& candidate : secrets_)
        if (candidate.id == std::string(prefix) + host) return &candidate;
    return nullptr;
  };
  const Secret* header = secret("HTTP_AUTH_HEADER_");
  const Secret* token = header != nullptr ? nullptr : secret("HTTP_AUTH_TOKEN_");
  const Secret* found = header != nullptr ? header : token;
  if (found == nullptr) return std::nullopt;
  if (url.scheme() != "https" && !url.loopback())
    return fail(Code::kPermissionDenied, "the secret {} is not sent over plain http", printable(found->id));
  const std::string value(trim(found->value));
  return http::Header{"Authorization", token != nullptr ? "Bearer " + value : value};
}

std::expected<RemoteFiles::Answer, http::Failure> RemoteFiles::attempt(const http::Request& request,
                                                                       const std::optional<oci::Digest>& checksum,
                                                                       progress::VertexId vertex,
                                                                       const Cancel& cancel) const {
  Answer answer;
  std::optional<store::BlobWriter> writer;
  std::optional<oci::Hasher> hash;
  std::int64_t total = -1, done = 0, told = 0;
  bool dropped = false;
  const std::string object = printable(shown_url(request.url.text()), 200);
  const http::Reader reader{.head = [&](const http::Response& response) -> Status {
                              answer.response = response;
                              if (response.status != 200) {
                                dropped = true;  // nobody reads the body of an error or a redirect
                                return fail(Code::kFailedPrecondition, "not a file");
                              }
                              if (const auto length = response.headers.find("content-length"))
                                total = TRY(parse_size(trim(*length)));
                              if (total > kSizeLimit)
                                return fail(Code::kOutOfRange, "{} is {} bytes; at most {} are taken", object, total,
                                            kSizeLimit);
                              writer = TRY(shop_.store.write_blob(shop_.lease));
                              if (checksum && checksum->algorithm() != oci::Algorithm::kSha256)
                                hash.emplace(checksum->algorithm());
                              return {};
                            },
                            .body = [&](std::string_view bytes) -> Status {
                              if (!writer) return {};
                              done += std::ssize(bytes);
                              if (done > kSizeLimit)
                                return fail(Code::kOutOfRange, "{} is more than {} bytes", object, kSizeLimit);
                              if (hash) hash->update(bytes);
                              if (done - told >= 512 * 1024 || done == total) {
                                told = done;
                                shop_.sink.on(progress::Transfer{vertex, object, done, total});
                              }
                              return writer->write(bytes);
                            }};
  const http::Outcome outcome = client_.send(request, reader, cancel);
  if (!outcome && !(dropped && outcome.error().trouble == http::Trouble::kReader))
    return std::unexpected(outcome.error());
  if (outcome) answer.response = *outcome;
  const auto keep = [&]() -> Status {
    if (answer.response.status != 200) return {};
    if (!writer) writer = TRY(shop_.store.write_blob(shop_.lease));  // an empty body
    if (hash) {
      const oci::Digest got = hash->finish();
      if (got != *checksum) return fail(Code::kDataLoss, "digest mismatch {}: {}", got.text(), checksum->text());
    }
    answer.blob = TRY(writer->commit({}));
    return {};
  };
  if (auto kept = keep(); !kept) return std::unexpected(http::Failure{http::Trouble::kReader, std::move(kept).error()});
  return answer;
}

Result<RemoteFiles::Answer> RemoteFiles::exchange(const http::Request& request,
                                                  const std::optional<oci::Digest>& checksum, progress::VertexId vertex,
                                                  const Cancel& cancel) const {
  for (int tried = 0;; ++tried) {
    auto answer = attempt(request, checksum, vertex, cancel);
    const bool again = answer ? is_passing(answer->response.status) : answer.error().passing();
    if (!again || tried == kRetries) {
      if (answer) return *std::move(answer);
      if (answer.error().trouble == http::Trouble::kReader) return std::unexpected(std::move(answer).error().error);
      return std::unexpected(std::move(answer.error().error)
                                 .add_context("while fetching " + printable(shown_url(request.url.text()), 300)));
    }
    if (cancel.wait_for(kFirstWaitMs << tried)) TRY(cancel.check());
  }
}

Result<RemoteFiles::Answer> RemoteFiles::get(const http::Url& start, const std::vector<http::Header>& conditions,
                                             const std::optional<oci::Digest>& checksum, progress::VertexId vertex,
                                             const Cancel& cancel) const {
  const auto credentials = TRY(authorization(start));
  http::Url url = start;
  for (int hop = 0; hop <= kRedirectLimit; ++hop) {
    http::Request request{.url = url, .headers = conditions};
    if (credentials && url.same_origin(start)) request.headers.push_back(*credentials);
    Answer answer = TRY(exchange(request, checksum, vertex, cancel));
    const int status = answer.response.status;
    if (status == 200 || (status == 304 && !conditions.empty())) return answer;
    if (!is_redirect(status)) {
      Error error(status == 404 || status == 410 ? Code::kNotFound : Code::kFailedPrecondition,
                  fmt::format("invalid response status {} from {}", status, printable(shown_url(url.text()), 300)));
      if (status == 401 || status == 403)
        error.with_hint(
            fmt::format("credentials are given with --secret id=HTTP_AUTH_TOKEN_{},env=VARIABLE", start.authority()));
      return std::unexpected(std::move(error));
    }
    const auto location = answer.response.headers.find("location");
    if (!location)
      return fail(Code::kDataLoss, "{} answered {} without a Location", printable(shown_url(url.text()), 300), status);
    auto next = url.resolve(*location);
    if (!next)
      return std::unexpected(std::move(next).error().add_context(
          fmt::format("while following a redirect of {}", printable(shown_url(url.text()), 300))));
    if (url.scheme() == "https" && next->scheme() != "https")
      return fail(Code::kPermissionDenied, "{} redirects to plain http ({}), which is refused",
                  printable(shown_url(url.text()), 300), printable(next->origin(), 300));
    url = *std::move(next);
  }
  return fail(Code::kFailedPrecondition, "{} redirects more than {} times", printable(start.text(), 300),
              kRedirectLimit);
}

Result<RemoteFile> RemoteFiles::look(const std::string& text, const std::optional<oci::Digest>& checksum,
                                     progress::VertexId vertex, const Cancel& cancel) const {
  const http::Url url = TRY(http::Url::parse(text));
  const auto known = TRY(recall(url));
  // Pinned and seen before: whatever the server has to say, only these bytes will do. Whether these credentials still
  // get them is for the server to say.
  const bool pinned = known && checksum == known->file.digest;
  if (pinned && !TRY(authorization(url))) return known->file;
  std::vector<http::Header> conditions;
  if (known && (!checksum || pinned)) {
    if (!known->etag.empty())
      conditions.push_back({"If-None-Match", known->etag});
    else if (!known->last_modified.empty())
      conditions.push_back({"If-Modified-Since", known->last_modified});
  }
  const Answer answer = TRY(get(url, conditions, checksum, vertex, cancel));
  if (!answer.blob) return known->file;
  if (checksum && checksum->algorithm() == oci::Algorithm::kSha256 && answer.blob->digest != *checksum)
    return fail(Code::kDataLoss, "digest mismatch {}: {}", answer.blob->digest.text(), checksum->text());
  const http::Headers& headers = answer.response.headers;
  Known fresh{{answer.blob->digest, answer.blob->size, remote_file_name(url, headers.find("content-disposition")), 0},
              headers.find("etag").value_or(""),
              headers.find("last-modified").value_or("")};
  const auto modified = parse_http_date(fresh.last_modified);
  fresh.file.modified = std::max<std::int64_t>(0, modified.value_or(0));
  // A file changed twice within a second has one Last-Modified: it says something only of a second that was over.
  const auto date = parse_http_date(headers.find("date").value_or(""));
  if (!modified || !date || *date - *modified < 2) fresh.last_modified.clear();
  TRY(remember(url, fresh));
  return fresh.file;
}

Result<sys::Fd> RemoteFiles::open(const std::string& text, const RemoteFile& file, progress::VertexId vertex,
                                  const Cancel& cancel) const {
  if (!TRY(shop_.store.acquire_blob(shop_.lease, file.digest))) {
    const Answer answer = TRY(get(TRY(http::Url::parse(text)), {}, std::nullopt, vertex, cancel));
    if (!answer.blob || answer.blob->digest != file.digest)
      return std::unexpected(Error(Code::kAborted, fmt::format("{} changed while it was fetched", quoted(text, 300)))
                                 .with_hint("build again"));
  }
  return shop_.store.open_blob(file.digest);
}

}  // namespace slipway::build
