#include "image/proofs.hpp"

namespace slipway::image {
namespace {

std::string_view believed_by(registry::Trust trust) {
  switch (trust) {
    case registry::Trust::kVerified:
      return "";
    case registry::Trust::kAnyCertificate:
      return " (any certificate)";
    case registry::Trust::kAnybody:
      return " (anybody)";
  }
  return "";
}

}  // namespace

store::Origin origin_of(const oci::Reference& reference, registry::Trust trust) {
  return {reference.registry() + std::string(believed_by(trust)), reference.repository()};
}

std::string word_of(const store::Origin& repository) { return repository.registry + "/" + repository.repository; }

Result<std::optional<std::string>> word_of(const store::Store& store, std::string_view scope,
                                           const oci::Reference& name, const oci::Digest& target) {
  const auto row = TRY(store.find_name(scope, name));
  if (!row || row->target != target) return std::nullopt;
  return row->word;
}

std::optional<store::Origin> own_origin(std::string_view word, const store::Origin& repository,
                                        const oci::Digest& document) {
  if (word == kOwnWord) return store::Origin::image(document);
  if (word.empty() || word == word_of(repository)) return std::nullopt;
  const auto slash = std::min(word.find('/'), word.size() - 1);
  return store::Origin::image_of({std::string(word.substr(0, slash)), std::string(word.substr(slash + 1))}, document);
}

std::optional<oci::Reference> giver_of(const store::Origin& own) {
  std::string name = own.given_by();
  const auto blank = name.find(' ');  // what it was believed by
  if (blank != std::string::npos) name.erase(blank, name.find('/') - blank);
  auto giver = oci::Reference::parse(name);
  return giver ? std::optional(*std::move(giver)) : std::nullopt;
}

Status note_uploaded(const store::Origins& origins, const store::Origin& repository, const oci::Descriptor& blob,
                     std::int64_t sent) {
  const bool got = blob.size > 0 && sent >= blob.size;
  if (!got && !TRY(origins.repository_with(repository.registry, blob.digest))) return {};
  return origins.note(repository, blob.digest);
}

Status note_own_blobs(const store::Origins& origins, const oci::Manifest& manifest) {
  std::vector<oci::Digest> blobs = {manifest.config().digest};
  for (const auto& layer : manifest.layers()) blobs.push_back(layer.digest);
  return origins.note(store::Origin::image(manifest.digest()), blobs);
}

Result<bool> Proofs::hold(const oci::Digest& blob) const {
  if (own_) return origins_.has(*own_, blob);
  if (!TRY(origins_.has(there_, blob)))
    return document_ ? origins_.has(store::Origin::image_of(there_, *document_), blob) : Result<bool>(false);
  TRY(note_own(blob));
  return true;
}

Result<bool> Proofs::ask(const oci::Digest& blob, const Cancel& cancel) const {
  if (own_ || !TRY(origins_.repository_with(there_.registry, blob))) return false;
  if (!TRY(repository_.shows_blob(blob, cancel))) return false;
  TRY(note_served(blob));
  return true;
}

Status Proofs::note_served(const oci::Digest& blob) const {
  TRY(origins_.note(there_, blob));
  return note_own(blob);
}

Status Proofs::note_own(const oci::Digest& blob) const {
  if (own_) return origins_.note(*own_, blob);
  return document_ ? origins_.note(store::Origin::image_of(there_, *document_), blob) : Status();
}

}  // namespace slipway::image
