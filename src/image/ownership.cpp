// make_own, make_own_too: images that become this store's own, whatever their name says (image.hpp, proofs.hpp).
#include <algorithm>
#include <array>

#include "image/image.hpp"
#include "image/proofs.hpp"
#include "image/transfers.hpp"

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;
constexpr std::array kTrusts = {registry::Trust::kVerified, registry::Trust::kAnyCertificate,
                                registry::Trust::kAnybody};

/// The children of a document that is here, in order.
Result<std::vector<oci::Descriptor>> children_of(const store::Store& store, const oci::Digest& document,
                                                 const std::string& media_type) {
  std::string bytes = TRY(store.read_blob(document, oci::kManifestLimit));
  if (oci::media_type::is_index(media_type)) return TRY(oci::Index::parse(std::move(bytes), media_type)).manifests();
  const auto manifest = TRY(oci::Manifest::parse(std::move(bytes), media_type));
  auto children = manifest.layers();
  children.push_back(manifest.config());
  return children;
}

/// Makes those children of documents their own that one of the holders has.
class Taking {
 public:
  Taking(store::Store& store, std::vector<oci::Reference> holders)
      : origins_(store), store_(store), holders_(std::move(holders)) {}

  Status run(const oci::Digest& document, const std::string& media_type, int depth = 0) {
    if (depth > kIndexDepth || std::ranges::find(done_, document) != done_.end()) return {};
    done_.push_back(document);
    const auto children = TRY(children_of(store_, document, media_type));
    std::vector<oci::Digest> taken, missing;
    for (const auto& child : children) (TRY(held(document, child.digest)) ? taken : missing).push_back(child.digest);
    TRY(origins_.note(store::Origin::image(document), taken));
    if (const auto* place = TRY(giver_of(document))) TRY(remember_place(store_, document, *place, missing));
    for (const auto& child : children)
      if (oci::media_type::is_index(media_type) && std::ranges::find(taken, child.digest) != taken.end())
        TRY(run(child.digest, child.media_type, depth + 1));
    return {};
  }

 private:
  /// Whose repository gave us the document, if one did.
  Result<const oci::Reference*> giver_of(const oci::Digest& document) const {
    for (const auto& holder : holders_)
      for (const auto trust : kTrusts)
        if (TRY(origins_.has(origin_of(holder, trust), document))) return &holder;
    return nullptr;
  }

  Result<bool> held(const oci::Digest& document, const oci::Digest& child) const {
    for (const auto& holder : holders_)
      if (TRY(holds_named(store_, holder, document, child))) return true;
    return origins_.has(store::Origin::image(document), child);
  }

  store::Origins origins_;
  store::Store& store_;
  std::vector<oci::Reference> holders_;
  std::vector<oci::Digest> done_;
};

}  // namespace

Status make_own(const store::Store& store, const std::vector<oci::Reference>& names, const oci::Digest& target) {
  for (const auto& name : names)
    for (const auto trust : kTrusts) TRY(store::Origins(store).forget(origin_of(name, trust), target));
  return {};
}

Result<bool> holds_named(const store::Store& store, const oci::Reference& name, const oci::Digest& document,
                         const oci::Digest& blob) {
  const store::Origins origins(store);
  bool served = false;
  for (const auto trust : kTrusts) {
    const store::Origin repository = origin_of(name, trust);
    if (!TRY(origins.has(repository, document))) continue;
    if (TRY(origins.has(repository, blob))) return true;
    served = true;
  }
  return served ? false : origins.has(store::Origin::image(document), blob);
}

Status make_own_too(store::Store& store, const oci::Reference& name, const oci::Digest& target,
                    const std::string& media_type, const std::vector<std::string>& held_by) {
  std::vector<oci::Reference> holders;
  for (const auto& text : held_by) {
    holders.push_back(TRY(oci::Reference::parse(text)));
    const auto& holder = holders.back();
    if (holder.registry() == name.registry() && holder.repository() == name.repository()) return {};
  }
  TRY(Taking(store, std::move(holders)).run(target, media_type));
  return make_own(store, {name}, target);
}

}  // namespace slipway::image
