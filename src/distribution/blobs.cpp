// Pulling, checking and deleting blobs: end-2 and end-10.
#include "base/text.hpp"
#include "distribution/state.hpp"
#include "httpd/range.hpp"

namespace slipway::distribution {
namespace {

std::unexpected<Problem> unknown(const oci::Digest& digest) {
  return std::unexpected(Problem{404, ProblemCode::kBlobUnknown, "the repository has no such blob", {digest}});
}

/// What of `size` bytes is asked for; If-Range with another validator than ours means all of them.
httpd::ByteRange range_of(const httpd::Request& request, const std::string& etag, std::int64_t size) {
  const auto header = request.header("Range");
  const auto condition = request.header("If-Range");
  if (!header || (condition && *condition != etag)) return {httpd::ByteRange::Kind::kWhole, 0, size};
  return httpd::parse_range(*header, size);
}

Outcome send(Call& call, const oci::Digest& digest, std::int64_t size, const BlobBody& body) {
  httpd::Answer& answer = call.answer;
  const std::string etag = "\"" + digest.text() + "\"";
  answer.header("Docker-Content-Digest", digest.text());
  answer.header("ETag", etag);
  answer.header("Accept-Ranges", "bytes");
  answer.header("Cache-Control", "private, max-age=31536000, immutable");
  if (call.request.header("If-None-Match") == etag) {
    (void)answer.send(304, "");
    return {};
  }
  const httpd::ByteRange range = range_of(call.request, etag, size);
  if (range.kind == httpd::ByteRange::Kind::kUnsatisfiable) {
    answer.header("Content-Range", fmt::format("bytes */{}", size));
    return refuse(416, ProblemCode::kSizeInvalid, fmt::format("the blob has {} bytes", size));
  }
  const bool part = range.kind == httpd::ByteRange::Kind::kPart;
  answer.header("Content-Type", "application/octet-stream");
  if (part)
    answer.header("Content-Range", fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, size));
  (void)answer.start(part ? 206 : 200, range.length);
  if (call.is("HEAD") || range.length == 0) return {};
  // What breaks off here is in the log; the peer sees it by the length.
  if (const auto sent = body(answer, range.offset, range.length); !sent) {
    call.request.note(sent.error().what());
    answer.cut();
  }
  return {};
}

Outcome pull(Call& call, const oci::Digest& digest) {
  if (call.registry.mirror) {
    auto found = call.registry.mirror->blob(call.repository(), digest, call.is("HEAD"), call.asker());
    if (!found) return std::unexpected(std::move(found).error());
    if (found->warning) call.answer.header("Warning", *found->warning);
    return send(call, digest, found->size, found->body);
  }
  // Who finds it here does not push it again: gc must not take it before the manifest has come.
  if (!call.registry.options.read_only)
    if (const auto renewed = call.registry.repositories.renew_blob(call.repository(), digest); !renewed)
      call.registry.options.log(printable(renewed.error().message(), 500));
  const auto blob = judged(call, call.registry.repositories.find_blob(call.repository(), digest));
  if (!blob) return std::unexpected(blob.error());
  if (!*blob) return unknown(digest);
  // Opened for HEAD too: a blob whose file is gone is not here.
  auto opened = call.registry.store.open_blob(digest);
  if (!opened && opened.error().code() == Code::kNotFound) return unknown(digest);  // gone since it was found
  const auto file = judged(call, std::move(opened));
  return send(call, digest, (*blob)->size, [&](httpd::Answer& answer, std::int64_t offset, std::int64_t length) {
    return answer.write_file(file->get(), offset, length);
  });
}

}  // namespace

Outcome handle_blob(Call& call) {
  const auto digest = digest_in(call.route.object);
  if (!digest) return std::unexpected(digest.error());
  if (call.is("GET") || call.is("HEAD")) return pull(call, *digest);
  if (!call.is("DELETE")) return no_such_method(call, "GET, HEAD, DELETE");
  const auto removed = judged(call, call.registry.repositories.remove_blob(call.repository(), *digest));
  if (!removed) return std::unexpected(removed.error());
  if (!*removed) return unknown(*digest);
  (void)call.answer.send(202, "");
  return {};
}

}  // namespace slipway::distribution
