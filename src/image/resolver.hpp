// Resolver: from a name to the manifest and config of one platform, all of it here and verified.
#pragma once

#include "image/image.hpp"
#include "image/transfers.hpp"

namespace slipway::image {

class Resolver {
 public:
  Resolver(const Images& images, const oci::Reference& reference, const oci::Platform& platform, PullPolicy policy,
           progress::Sink& sink, progress::VertexId vertex, const Cancel& cancel)
      : images_(images),
        reference_(reference),
        platform_(platform),
        policy_(policy),
        sink_(sink),
        cancel_(cancel),
        transfers_(images, reference, sink, vertex) {}

  struct Answer {
    Resolved image;
    bool from_registry = false;  ///< the name was asked of the registry and is not set yet
    std::string word = {};       ///< that of the name (proofs.hpp)
  };
  [[nodiscard]] Result<Answer> run();

 private:
  /// Bytes and type of a manifest or index.
  struct Document {
    std::string bytes;
    std::string media_type;
    oci::Digest digest;
  };
  Result<Document> start(bool& from_registry);
  Result<Resolved> resolve(Document target);
  Result<Document> child(const oci::Descriptor& descriptor);
  /// A document that was not asked for by name before: what it names is the registry's from here on.
  Result<Document> ask_registry(const oci::Reference& reference);
  /// What is used from here on is named by this document.
  void descend(const oci::Digest& document);
  /// The document that the registry says it would give, when it gave it to this store before: a HEAD with own
  /// credentials is the proof, and nothing is transferred. Nothing when there is none such.
  Result<std::optional<Document>> prove(const oci::Reference& reference);
  Result<std::optional<Document>> document_here(const oci::Digest& digest, std::string media_type);
  Result<oci::Manifest> select_manifest(Document document);
  Result<oci::ImageConfig> load_config(const oci::Manifest& manifest);
  Status check(const oci::Manifest& manifest, const oci::ImageConfig& config);
  [[nodiscard]] Error absent(std::string what) const;

  const Images& images_;
  const oci::Reference& reference_;
  const oci::Platform& platform_;
  const PullPolicy policy_;
  progress::Sink& sink_;
  const Cancel& cancel_;
  Transfers transfers_;
  std::string word_;             ///< whose word counts for what is looked at (proofs.hpp)
  bool local_ = false;           ///< what is looked at came from the store
  bool other_platform_ = false;  ///< what was looked at is not for `platform_`
};

}  // namespace slipway::image
