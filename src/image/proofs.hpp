// Proofs: what a scope may use of the bytes that are here. The store is shared by scopes and a digest is no secret, so
// that bytes are here says nothing of who may have them (docs/security, invariant 10; design: proof by HEAD).
//
// The owner's scope ("default": whoever may read the store's files) may use all of it. Any other scope may use a blob
//   * that the repository it stands in has served to somebody: who reaches this point has just got the manifest that
//     names it from that very repository, with credentials of its own (a HEAD is enough);
//   * that it transferred itself before.
// For everything else it transfers the bytes, which are verified and then dropped. Losing a note costs a transfer.
// Builds and loads happen in the owner's scope; whoever lets others do that has to note what they made.
#pragma once

#include <string>
#include <string_view>

#include "oci/reference.hpp"
#include "store/store.hpp"

namespace slipway::image {

inline constexpr std::string_view kOwnersScope = "default";

class Proofs {
 public:
  Proofs(store::Store& store, std::string scope) : store_(store), scope_(std::move(scope)) {}

  [[nodiscard]] bool owner() const { return scope_ == kOwnersScope; }
  /// Whether the scope may use a blob that a manifest of `reference`'s repository names.
  [[nodiscard]] Result<bool> hold(const oci::Reference& reference, const oci::Digest& blob) const;
  /// The scope got the bytes from that repository, or put them there.
  [[nodiscard]] Status note_served(const oci::Reference& reference, const oci::Digest& blob) const;

 private:
  store::Store& store_;
  std::string scope_;
};

}  // namespace slipway::image
