// What there is: tags (end-8), referrers (end-12) and docker's catalog, in pages.
#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "distribution/document.hpp"
#include "distribution/state.hpp"
#include "http/url.hpp"
#include "oci/canonical_json.hpp"
#include "oci/image.hpp"

namespace slipway::distribution {
namespace {

constexpr std::int64_t kPage = 1000;                             ///< names, unless fewer are asked for
constexpr std::int64_t kReferrersPage = 100;                     ///< each is a document to be read
constexpr std::int64_t kReferrersBytes = std::int64_t{4} << 20;  ///< of a page, and more only with a single entry
constexpr std::int64_t kReferrersRead = std::int64_t{32} << 20;  ///< of documents for a page

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

Outcome send_json(Call& call, const std::string& body) {
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

/// How long an entry is in the answer, about.
std::int64_t length_of(const oci::Descriptor& entry) {
  std::int64_t bytes = 300 + std::ssize(entry.media_type) + std::ssize(entry.artifact_type);
  for (const auto& [name, value] : entry.annotations) bytes += std::ssize(name) + std::ssize(value) + 6;
  return bytes;
}

struct ReferrersPage {
  std::vector<oci::Descriptor> entries;
  std::size_t looked_at = 0;  ///< of what was found
};

/// Reads one document after the other, as many as one answer may have.
ReferrersPage fill_page(const store::Store& store, const std::vector<store::LinkedManifest>& found,
                        const std::optional<std::string>& wanted) {
  ReferrersPage page;
  std::int64_t bytes = 0;
  std::int64_t read = 0;
  for (; page.looked_at < found.size() && std::cmp_less(page.looked_at, kReferrersPage); ++page.looked_at) {
    const auto& manifest = found[page.looked_at];
    read += manifest.size;
    if (page.looked_at > 0 && read > kReferrersRead) break;
    auto entry = describe(store, manifest);
    if (!entry || (wanted && entry->artifact_type != *wanted)) continue;
    bytes += length_of(*entry);
    if (!page.entries.empty() && bytes > kReferrersBytes) break;
    page.entries.push_back(std::move(*entry));
  }
  return page;
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
  ReferrersPage page = fill_page(call.registry.store, *found, wanted);
  if (page.looked_at < found->size()) {
    const std::string filter = wanted ? "&artifactType=" + http::percent_encode(*wanted) : "";
    call.answer.header("Link", fmt::format("</v2/{}/referrers/{}?last={}{}>; rel=\"next\"", call.repository(),
                                           subject->text(), (*found)[page.looked_at - 1].digest.text(), filter));
  }
  if (wanted) call.answer.header("OCI-Filters-Applied", "artifactType");
  call.answer.header("Content-Type", oci::media_type::kOciIndex);
  (void)call.answer.send(200, oci::Index::make(oci::Family::kOci, std::move(page.entries)).raw());
  return {};
}

}  // namespace slipway::distribution
