// Pushing blobs: end-4a, 4b, 4c, 5, 6, 11, 13 and 14 of the specification.
#include <algorithm>
#include <memory>
#include <optional>

#include "base/text.hpp"
#include "distribution/piece.hpp"
#include "distribution/state.hpp"

namespace slipway::distribution {
namespace {

constexpr std::size_t kPiece = 256 * 1024;

std::string location_of(const Call& call, const std::string& id) {
  return fmt::format("/v2/{}/blobs/uploads/{}", call.repository(), id);
}

/// Where the session is and how far it came. Docker says "0-0" of an empty one too.
void describe(Call& call, const store::Upload& upload) {
  call.answer.header("Location", location_of(call, upload.id()));
  call.answer.header("Range", fmt::format("0-{}", std::max<std::int64_t>(upload.size(), 1) - 1));
  call.answer.header("Docker-Upload-UUID", upload.id());
}

Outcome blob_is_here(Call& call, const oci::Digest& digest) {
  call.answer.header("Location", fmt::format("/v2/{}/blobs/{}", call.repository(), digest.text()));
  call.answer.header("Docker-Content-Digest", digest.text());
  (void)call.answer.send(201, "");
  return {};
}

/// The request's body, to the end. What came before a failure stays in the session.
Outcome receive(Call& call, store::Upload& upload) {
  // Not touched before bytes come: a peer that sends nothing costs nothing.
  const auto piece = std::make_unique_for_overwrite<char[]>(kPiece);  // NOLINT(*-avoid-c-arrays)
  while (true) {
    const auto got = call.request.read(piece.get(), kPiece);
    if (!got) {
      const bool ending = got.error().code() == Code::kCancelled;
      return refuse(ending ? 503 : 400, ProblemCode::kBlobUploadInvalid,
                    ending ? "the registry is ending; the upload can be continued" : got.error().what());
    }
    if (*got == 0) return {};
    if (auto written = judged(call, upload.write({piece.get(), *got})); !written) return written;
  }
}

Outcome finish(Call& call, store::Upload upload, const oci::Digest& digest) {
  const auto blob = upload.commit({.digest = digest, .size = {}});
  if (blob) return blob_is_here(call, digest);
  if (blob.error().code() == Code::kNotFound)
    return refuse(404, ProblemCode::kBlobUploadUnknown,
                  "the upload is over: it was finished by another request, or removed");
  if (blob.error().code() == Code::kDataLoss)
    return refuse(400, ProblemCode::kDigestInvalid, printable(blob.error().what(), 300));
  return trouble(call, blob.error());
}

/// end-11. True when it was mounted; without a source any repository serves, since who may read one may read all.
std::expected<bool, Problem> mount(Call& call, const std::string& wanted) {
  auto digest = digest_in(wanted);
  if (!digest) return std::unexpected(std::move(digest).error());
  const auto from = call.request.target().query("from");
  auto& repositories = call.registry.repositories;
  if (from && !is_repository_name(*from)) return false;
  auto found = judged(call, from ? repositories.find_blob(*from, *digest) : repositories.find_blob_anywhere(*digest));
  if (!found) return std::unexpected(std::move(found).error());
  if (!*found) return false;
  const auto linked = repositories.link_blob(call.repository(), *digest);
  if (!linked && linked.error().code() == Code::kNotFound) return false;  // gone in between
  if (!linked) return trouble(call, linked.error());
  if (auto told = blob_is_here(call, *digest); !told) return std::unexpected(std::move(told).error());
  return true;
}

/// end-4b: everything in one request.
Outcome push_at_once(Call& call, const std::string& wanted) {
  const auto digest = digest_in(wanted);
  if (!digest) return std::unexpected(digest.error());
  auto held = judged(call, call.registry.sessions.begin(call.repository()));
  if (!held) return std::unexpected(std::move(held).error());
  if (auto received = receive(call, held->upload()); !received) {
    (void)held->take().drop();  // nobody was told of the session
    return received;
  }
  return finish(call, held->take(), *digest);
}

Outcome begin(Call& call) {
  const auto algorithm = call.request.target().query("digest-algorithm");
  if (algorithm && *algorithm != "sha256" && *algorithm != "sha512")
    return refuse(400, ProblemCode::kDigestInvalid,
                  fmt::format("{} is no known digest algorithm", quoted(*algorithm, 100)));
  auto held = judged(call, call.registry.sessions.begin(call.repository()));
  if (!held) return std::unexpected(std::move(held).error());
  describe(call, held->upload());
  (void)call.answer.send(202, "");
  return {};
}

/// The piece that a request brings, as it says itself: it must begin where the session ends.
std::expected<std::optional<Piece>, Problem> announced(Call& call, const store::Upload& upload) {
  const auto header = call.request.header("Content-Range");
  if (!header) return std::nullopt;
  const auto piece = parse_piece(*header);
  const auto wrong = [&](std::string why) {
    describe(call, upload);
    return refuse(416, ProblemCode::kBlobUploadInvalid, std::move(why));
  };
  if (!piece) return wrong(fmt::format("{} is no range of an upload", quoted(*header, 100)));
  if (piece->begin != upload.size())
    return wrong(fmt::format("the upload has {} bytes; the next piece begins there", upload.size()));
  const auto length = call.request.content_length();
  if (length && *length != piece->size())
    return refuse(400, ProblemCode::kSizeInvalid, "Content-Range and Content-Length do not agree");
  return piece;
}

/// Takes the body of a PATCH or PUT into the session.
Outcome append(Call& call, store::Upload& upload) {
  const auto piece = announced(call, upload);
  if (!piece) return std::unexpected(piece.error());
  if (auto received = receive(call, upload); !received) return received;
  if (*piece && upload.size() != (*piece)->end)
    return refuse(400, ProblemCode::kSizeInvalid, "the piece has not the length that Content-Range says");
  return {};
}

/// append(), and the end of a session that got other bytes than were announced, which can not be taken out of the hash
/// again, or that did not fit: what it has would be in everybody's way.
Outcome append_or_drop(Call& call, Sessions::Held& held) {
  auto taken = append(call, held.upload());
  const bool spoiled =
      !taken && taken.error().code == ProblemCode::kSizeInvalid && call.request.content_length() == std::nullopt;
  if (spoiled || (!taken && taken.error().status == 507)) (void)held.take().drop();
  return taken;
}

Outcome patch(Call& call, Sessions::Held held) {
  if (auto taken = append_or_drop(call, held); !taken) return taken;
  if (auto saved = judged(call, held.upload().save()); !saved) return saved;
  describe(call, held.upload());
  (void)call.answer.send(202, "");
  return {};
}

Outcome close(Call& call, Sessions::Held held) {
  const auto wanted = call.request.target().query("digest");
  if (!wanted) return refuse(400, ProblemCode::kDigestInvalid, "the closing PUT names no digest");
  const auto digest = digest_in(*wanted);
  if (!digest) return std::unexpected(digest.error());
  if (auto taken = append_or_drop(call, held); !taken) return taken;
  return finish(call, held.take(), *digest);
}

}  // namespace

Outcome handle_uploads(Call& call) {
  if (!call.is("POST")) return no_such_method(call, "POST");
  const httpd::Target& target = call.request.target();
  if (const auto wanted = target.query("mount")) {
    const auto mounted = mount(call, *wanted);
    if (!mounted) return std::unexpected(mounted.error());
    if (*mounted) return {};
  } else if (const auto digest = target.query("digest")) {
    return push_at_once(call, *digest);
  }
  return begin(call);
}

Outcome handle_upload(Call& call) {
  if (!call.is("GET") && !call.is("HEAD") && !call.is("PATCH") && !call.is("PUT") && !call.is("DELETE"))
    return no_such_method(call, "GET, PATCH, PUT, DELETE");
  const auto unknown = [] {
    return refuse(404, ProblemCode::kBlobUploadUnknown, "there is no such upload; begin a new one");
  };
  if (call.is("DELETE")) {
    const auto dropped = judged(call, call.registry.sessions.drop(call.repository(), call.route.object));
    if (!dropped) return std::unexpected(dropped.error());
    if (!*dropped) return unknown();
    (void)call.answer.send(204, "");
    return {};
  }
  auto held = call.registry.sessions.hold(call.repository(), call.route.object, [&] { return call.request.cancel(); });
  if (!held && held.error().code() == Code::kNotFound) return unknown();
  if (!held && held.error().code() == Code::kAborted)
    return refuse(409, ProblemCode::kBlobUploadInvalid, "another request writes this upload");
  if (!held) return trouble(call, held.error());
  if (call.is("PATCH")) return patch(call, std::move(*held));
  if (call.is("PUT")) return close(call, std::move(*held));
  describe(call, held->upload());
  (void)call.answer.send(204, "");
  return {};
}

}  // namespace slipway::distribution
