// What there is: tags (end-8), referrers (end-12) and docker's catalog, in pages.
#include <algorithm>

#include "base/text.hpp"
#include "distribution/document.hpp"
#include "distribution/state.hpp"
#include "http/url.hpp"
#include "oci/canonical_json.hpp"
#include "oci/image.hpp"

namespace slipway::distribution {
namespace {

constexpr std::int64_t kPage = 1000;          ///< names, unless fewer are asked for
constexpr std::int64_t kReferrersPage = 100;  ///< each is a document to be read

struct Page {
  std::int64_t most = kPage;
  std::string last;
};

std::expected<Page, Problem> page_of(const httpd::Request& request) {
  Page page;
  page.last = request.target().query("last").value_or("");
  if (const auto n = request.target().query("n")) {
    const auto number = parse_size(*n);
    if (!number) return refuse(400, ProblemCode::kUnsupported, fmt::format("n={} is no number", quoted(*n, 50)));
    page.most = std::min(*number, kPage);
  }
  return page;
}

/// One more than the page has is asked for, to know whether there is another.
void link_next(Call& call, std::vector<std::string>& names, const Page& page, const std::string& path) {
  if (std::ssize(names) <= page.most) return;
  names.resize(static_cast<std::size_t>(page.most));
  if (names.empty()) return;  // n=0 has no next page
  call.answer.header(
      "Link", fmt::format("<{}?n={}&last={}>; rel=\"next\"", path, page.most, http::percent_encode(names.back())));
}

Outcome send_json(Call& call, std::string body) {
  call.answer.header("Content-Type", "application/json");
  (void)call.answer.send(200, body);
  return {};
}

}  // namespace

Outcome handle_tags(Call& call) {
  if (!call.is("GET") && !call.is("HEAD")) return no_such_method(call, "GET, HEAD");
  const auto page = page_of(call.request);
  if (!page) return std::unexpected(page.error());
  const auto known = judged(call, call.registry.repositories.exists(call.repository()));
  if (!known) return std::unexpected(known.error());
  if (!*known)
    return refuse(404, ProblemCode::kNameUnknown, fmt::format("there is no repository {}", call.repository()));
  auto tags = judged(call, call.registry.repositories.tags(call.repository(), page->last, page->most + 1));
  if (!tags) return std::unexpected(std::move(tags).error());
  link_next(call, *tags, *page, fmt::format("/v2/{}/tags/list", call.repository()));
  oci::JsonWriter json;
  json.begin_object();
  json.member("name", call.repository());
  json.member("tags", *tags);
  json.end_object();
  return send_json(call, json.take());
}

Outcome handle_catalog(Call& call) {
  if (!call.is("GET") && !call.is("HEAD")) return no_such_method(call, "GET, HEAD");
  const auto page = page_of(call.request);
  if (!page) return std::unexpected(page.error());
  auto names = judged(call, call.registry.repositories.list(page->last, page->most + 1));
  if (!names) return std::unexpected(std::move(names).error());
  link_next(call, *names, *page, "/v2/_catalog");
  oci::JsonWriter json;
  json.begin_object();
  json.member("repositories", *names);
  json.end_object();
  return send_json(call, json.take());
}

namespace {

/// A referrer as the index lists it; nothing when its document can not be read (any more).
std::optional<oci::Descriptor> describe(const store::Store& store, const store::LinkedManifest& manifest) {
  const auto bytes = store.read_blob(manifest.digest, oci::kManifestLimit);
  if (!bytes) return std::nullopt;
  auto document = read_document(*bytes, manifest.media_type);
  if (!document) return std::nullopt;
  return oci::Descriptor{.media_type = manifest.media_type,
                         .digest = manifest.digest,
                         .size = manifest.size,
                         .urls = {},
                         .annotations = std::move(document->annotations),
                         .platform = {},
                         .artifact_type = std::move(document->artifact_type)};
}

}  // namespace

Outcome handle_referrers(Call& call) {
  if (!call.is("GET") && !call.is("HEAD")) return no_such_method(call, "GET, HEAD");
  const auto subject = digest_in(call.route.object);
  if (!subject) return std::unexpected(subject.error());
  const httpd::Target& target = call.request.target();
  const auto wanted = target.query("artifactType");
  std::optional<oci::Digest> last;
  if (const auto text = target.query("last")) {
    const auto digest = digest_in(*text);
    if (!digest) return std::unexpected(digest.error());
    last = *digest;
  }
  const auto found =
      judged(call, call.registry.repositories.referrers(call.repository(), *subject, last, kReferrersPage + 1));
  if (!found) return std::unexpected(found.error());
  std::vector<oci::Descriptor> entries;
  const auto shown = std::min<std::ptrdiff_t>(std::ssize(*found), kReferrersPage);
  for (const auto& manifest : std::span(*found).first(static_cast<std::size_t>(shown))) {
    auto entry = describe(call.registry.store, manifest);
    if (entry && (!wanted || entry->artifact_type == *wanted)) entries.push_back(std::move(*entry));
  }
  if (std::ssize(*found) > kReferrersPage) {
    const std::string filter = wanted ? "&artifactType=" + http::percent_encode(*wanted) : "";
    call.answer.header("Link", fmt::format("</v2/{}/referrers/{}?last={}{}>; rel=\"next\"", call.repository(),
                                           subject->text(), (*found)[kReferrersPage - 1].digest.text(), filter));
  }
  if (wanted) call.answer.header("OCI-Filters-Applied", "artifactType");
  call.answer.header("Content-Type", oci::media_type::kOciIndex);
  (void)call.answer.send(200, oci::Index::make(oci::Family::kOci, std::move(entries)).raw());
  return {};
}

}  // namespace slipway::distribution
