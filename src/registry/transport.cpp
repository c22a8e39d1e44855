#include "registry/transport.hpp"

#include "base/text.hpp"
#include "oci/json.hpp"
#include "sys/file.hpp"

namespace slipway::registry {
namespace {

constexpr std::int64_t kCertificateLimit = 1 << 20;
constexpr std::size_t kMessageLimit = 300;

Result<std::optional<http::Tls>> read_certificates(const std::string& directory) {
  const auto dir = sys::open(directory, O_RDONLY | O_DIRECTORY);
  if (!dir) {
    if (dir.error().code() == Code::kNotFound) return std::nullopt;
    return std::unexpected(dir.error());
  }
  http::Tls tls;
  auto names = TRY(sys::list_directory(dir->get(), directory));
  std::sort(names.begin(), names.end());
  for (const auto& name : names) {
    if (name.ends_with(".crt")) {
      const auto file = TRY(sys::open_at(dir->get(), name, O_RDONLY));
      tls.extra_roots +=
          TRY(context(sys::read_all(file.get(), kCertificateLimit), "while reading {}/{}", directory, name));
      tls.extra_roots += '\n';
    } else if (name.ends_with(".cert") && tls.certificate_file.empty()) {
      const std::string key = name.substr(0, name.size() - 5) + ".key";
      if (!TRY(sys::lstat_at(dir->get(), key)))
        return fail(Code::kNotFound, "{}/{} has no key {} beside it", printable(directory), quoted(name), quoted(key));
      tls.certificate_file = directory + "/" + name;
      tls.key_file = directory + "/" + key;
    }
  }
  return tls;
}

/// How often a failure of that kind deserves another try. A host that is not there is most likely a typing error.
int retries_of(http::Trouble trouble) {
  switch (trouble) {
    case http::Trouble::kResolve:
    case http::Trouble::kConnect:
    case http::Trouble::kNotTls:  // or it was cut in the handshake
      return 2;
    case http::Trouble::kTimeout:
    case http::Trouble::kBroken:
      return kMostRetries;
    default:
      return 0;
  }
}

Code code_of_status(int status) {
  switch (status) {
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 413:
      return Code::kResourceExhausted;
    case 405:
    case 501:
      return Code::kUnimplemented;
    default:
      return status == 408 || status == 429 || status >= 500 ? Code::kUnavailable : Code::kFailedPrecondition;
  }
}

}  // namespace

Result<http::Tls> Transport::tls_for(const std::string& name) const {
  auto known = known_.lock();
  if (const auto found = known->find(name); found != known->end()) return found->second;
  http::Tls tls;
  for (const auto& directory : directories_) {
    if (auto found = TRY(read_certificates(directory + "/" + name))) {
      tls = *std::move(found);
      break;
    }
  }
  const RegistryRule rule = rule_for(rules_, {}, name);
  if (!rule.ca_file.empty()) {
    tls.extra_roots += TRY(context(sys::read_file(rule.ca_file, kCertificateLimit),
                                   "while reading the certificates that {} is trusted by", printable(name, 300)));
    tls.extra_roots += '\n';
  }
  if (!rule.certificate_file.empty()) {
    tls.certificate_file = rule.certificate_file;
    tls.key_file = rule.key_file;
  }
  known->insert({name, tls});
  return tls;
}

std::string message_of(std::string_view body) {
  const auto document = oci::Json::parse(body, {.bytes = kErrorBodyLimit, .depth = 16, .values = 4096});
  if (!document) return {};
  const auto text = [](const oci::Json& object, std::string_view name) -> std::string {
    const auto member = object.find(name);
    if (!member || !member->is_string()) return {};
    return printable(*member->as_string(), kMessageLimit);
  };
  if (const auto errors = document->list("errors"); errors && !errors->empty()) {
    const oci::Json first = *errors->begin();
    const std::string message = text(first, "message");
    return message.empty() ? text(first, "code") : message;
  }
  for (const char* name : {"details", "message", "error_description", "error"})
    if (std::string message = text(*document, name); !message.empty()) return message;
  return {};
}

bool is_web_page(const http::Headers& headers) {
  const std::string type = lower(trim(headers.find("Content-Type").value_or("")));
  return type.starts_with("text/html") || type.starts_with("application/xhtml+xml");
}

namespace {

/// What an answer says about itself: a registry's message, a line of plain text, or what `slipway registry` puts behind
/// the status, where a HEAD has no body.
std::string explanation_of(const Reply& reply) {
  if (std::string message = message_of(reply.body); !message.empty()) return message;
  if (is_web_page(reply.headers)) return "the answer is a web page, not a registry's";
  const std::string type = lower(reply.headers.find("Content-Type").value_or(""));
  const std::string_view text = trim(reply.body);
  if (type.starts_with("text/plain") && !text.empty() && text.find('\n') == std::string_view::npos)
    return printable(text, kMessageLimit);
  const auto colon = reply.reason.find(": ");
  return colon == std::string::npos ? "" : printable(std::string_view(reply.reason).substr(colon + 2), kMessageLimit);
}

/// What helps against a certificate that is not good; the text is OpenSSL's and curl's.
std::string certificate_hint(std::string_view error) {
  if (error.find("expired") != std::string_view::npos)
    return "the registry's certificate has expired (or this machine's clock is wrong): it has to be renewed there";
  if (error.find("subject name") != std::string_view::npos || error.find("no alternative") != std::string_view::npos)
    return "the certificate is for another name: use the name that it is for";
  return "put the CA's certificate into /etc/docker/certs.d/HOST[:PORT]/ca.crt or name it in SSL_CERT_FILE";
}

}  // namespace

Setback setback_of_failure(const http::Failure& failure, std::string_view what) {
  if (failure.trouble == http::Trouble::kReader || failure.trouble == http::Trouble::kCancelled)
    return {.error = failure.error};
  Error error = failure.error;
  if (failure.trouble == http::Trouble::kCertificate) error.with_hint(certificate_hint(error.what()));
  if (failure.trouble == http::Trouble::kConnect && error.hint().empty())
    error.with_hint("nothing answers there: is the registry running, and are name and port right?");
  error.add_context(fmt::format("while asking for {}", what));
  if (failure.trouble == http::Trouble::kNotTls)
    error.with_hint("it does not speak TLS: --insecure-registry HOST[:PORT] allows plain HTTP");
  return {.error = std::move(error),
          .retries = retries_of(failure.trouble),
          .unreached = failure.trouble == http::Trouble::kConnect};
}

Setback setback_of_status(const Reply& reply, std::string_view what, const Asked& asked) {
  const std::string message = explanation_of(reply);
  const bool login = !asked.login.empty() && (reply.status == 401 || reply.status == 403);
  std::string verb = "failed to serve";
  if (reply.status == 404) verb = "does not have";
  if (reply.status == 429) verb = "has had too many requests to serve";
  if (reply.status == 403) verb = asked.user.empty() ? "does not allow us" : "does not allow " + quoted(asked.user);
  if (reply.status == 401)
    verb = asked.user.empty() ? "wants credentials for"
                              : "does not accept the credentials of " + quoted(asked.user) + " for";
  Error error(code_of_status(reply.status), fmt::format("{} {} {} (status {}{}{})", asked.host, verb, what,
                                                        reply.status, message.empty() ? "" : ": ", message));
  if (login && !asked.kept_in.empty())
    error.with_hint(fmt::format(
        "these credentials are in {}, which goes before what `slipway login` keeps: mend it there", asked.kept_in));
  if (login) error.with_hint(fmt::format("log in with `slipway login {}`", asked.login));
  if (is_web_page(reply.headers) && !login)
    error.with_hint("is it a registry's address? A proxy, or a page to log in at, may be in between");
  if (reply.status == 508)  // mirrors in a loop: it would be one again
    return {.error = std::move(error).with_errno(ELOOP), .status = reply.status};
  if (reply.status == 507) error.with_hint("there is no room in the registry: who runs it has to make some");
  Setback setback{.error = std::move(error), .status = reply.status};
  if (reply.status != 408 && reply.status != 429 && (reply.status < 500 || reply.status == 501 || reply.status == 507))
    return setback;
  setback.retries = kMostRetries;
  if (const auto value = reply.headers.find("Retry-After")) setback.retry_after = parse_retry_after(*value, now());
  if (setback.retry_after) setback.error.with_retry_after(*setback.retry_after);
  if (setback.retry_after.value_or(0) > kLongestRetryAfter)
    setback.error.with_hint(fmt::format("it asks to come back in {} s", *setback.retry_after));
  return setback;
}

Attempt<Reply> Transport::fetch(const http::Request& request, const Reading& reading, const Cancel& cancel) const {
  Reply reply;
  bool wanted = false;
  bool cut = false;
  const auto head = [&](const http::Response& response) -> Status {
    reply.status = response.status;
    reply.reason = response.reason;
    reply.headers = response.headers;
    const Patience::Hold hold(patience_);
    wanted = reading.wanted(response.status);
    return wanted && reading.head ? reading.head(response) : Status();
  };
  const auto body = [&](std::string_view bytes) -> Status {
    const Patience::Hold hold(patience_);
    if (wanted && reading.sink) return reading.sink(bytes);
    const std::int64_t limit = wanted ? reading.limit : kErrorBodyLimit;
    if (std::ssize(reply.body) + std::ssize(bytes) <= limit) {
      reply.body += bytes;
      return {};
    }
    cut = !wanted;  // an error's text: what is beyond the limit is not waited for
    return fail(Code::kOutOfRange, "{} has more than {} bytes", reading.what, limit);
  };
  const auto outcome =
      http_.send(request, {.head = head, .body = body, .idle = [&] { return patience_.check(); }}, cancel);
  if (outcome || cut) return reply;
  return std::unexpected(setback_of_failure(outcome.error(), reading.what));
}

}  // namespace slipway::registry
