// Images::push: a manifest or an index with everything below it, leaves first, because a registry refuses a document
// that names what it does not have.
#include <algorithm>
#include <map>

#include "image/image.hpp"
#include "image/layer_check.hpp"
#include "image/parallel.hpp"
#include "image/transfers.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr int kIndexDepth = 4;

/// A document to put, after all its blobs and all documents before it.
struct Document {
  std::string bytes;
  std::string media_type;
  oci::Digest digest;
};

class Push {
 public:
  Push(const Images& images, const oci::Reference& reference, progress::Sink& sink, progress::VertexId vertex,
       const Cancel& cancel, const PushOptions& options)
      : images_(images),
        reference_(reference),
        sink_(sink),
        vertex_(vertex),
        cancel_(cancel),
        by_digest_(options.by_digest),
        fetch_(options.fetch),
        trust_(options.trust),
        repository_(images.client.repository(reference, options.trust)) {}

  Result<oci::Descriptor> run(oci::Digest target, std::string media_type) {
    word_ = TRY(word_of(images_.store, images_.scope, reference_, target)).value_or(std::string(kOwnWord));
    if (oci::media_type::is_index(media_type)) TRY(narrow(target, media_type));
    TRY(gather(target, media_type, 0));
    TRY(for_each_parallel(blobs_.size(), images_.client.parallel_transfers(), cancel_,
                          [&](std::size_t i, const Cancel& cancel) { return upload(blobs_[i], cancel); }));
    for (std::size_t i = 0; i + 1 < documents_.size(); ++i) TRY(put(documents_[i], documents_[i].digest.text()));
    const Document& top = documents_.back();
    if (reference_.digest() && *reference_.digest() != top.digest)
      return fail(Code::kInvalidArgument, "the image has digest {}, not that of {}", top.digest.text(),
                  reference_.familiar());
    TRY(put(top, by_digest_ || reference_.tag().empty() ? top.digest.text() : reference_.tag()));
    return oci::Descriptor{.media_type = top.media_type, .digest = top.digest, .size = std::ssize(top.bytes)};
  }

 private:
  Result<std::string> read(const oci::Digest& digest) { return images_.store.read_blob(digest, oci::kManifestLimit); }

  /// An index of which one platform was pulled: what is here is pushed, as one image. Anything in between is refused.
  Status narrow(oci::Digest& target, std::string& media_type) {
    const auto index = TRY(oci::Index::parse(TRY(read(target)), media_type));
    std::vector<const oci::Descriptor*> present;
    const oci::Descriptor* absent = nullptr;
    for (const auto& entry : index.manifests()) {
      if (TRY(usable(target, entry.digest)))
        present.push_back(&entry);
      else if (!TRY(repository_.has_manifest(entry.digest, cancel_)))
        absent = &entry;
    }
    if (absent == nullptr) return {};
    if (present.size() != 1) {
      const std::string platform = absent->platform ? " for " + absent->platform->text() : "";
      return std::unexpected(Error(Code::kNotFound, fmt::format("the manifest {}{} of {} is not in the store",
                                                                absent->digest.text(), platform, reference_.familiar()))
                                 .with_hint("pull all of its platforms, or push one image by its own digest"));
    }
    const std::string platform = present[0]->platform ? " (" + present[0]->platform->text() + ")" : "";
    sink_.on(progress::Warning{
        fmt::format("only one image{} of this index is here: it is pushed without the index", platform)});
    target = present[0]->digest;
    media_type = present[0]->media_type;
    return {};
  }

  /// Lists the documents below `digest`, itself last, and their blobs. The depth is bounded, so is the recursion.
  Status gather(const oci::Digest& digest, const std::string& media_type, int depth) {
    if (depth > kIndexDepth)
      return fail(Code::kInvalidArgument, "indexes are nested more than {} levels deep", kIndexDepth);
    std::string bytes = TRY(read(digest));
    if (oci::media_type::is_index(media_type)) {
      const auto index = TRY(oci::Index::parse(bytes, media_type));
      for (const auto& entry : index.manifests())
        if (TRY(usable(digest, entry.digest))) TRY(gather(entry.digest, entry.media_type, depth + 1));
    } else {
      const auto manifest = TRY(oci::Manifest::parse(bytes, media_type));
      const auto diffs = TRY(diffs_of(images_.store, manifest));
      for (std::size_t i = 0; i < diffs.size(); ++i) diffs_.emplace(manifest.layers()[i].digest, diffs[i]);
      for (const auto& layer : manifest.layers()) add(layer, digest);
      add(manifest.config(), digest);
    }
    const bool listed = std::any_of(documents_.begin(), documents_.end(),
                                    [&](const Document& document) { return document.digest == digest; });
    if (!listed) documents_.push_back({std::move(bytes), media_type, digest});
    return {};
  }

  void add(const oci::Descriptor& blob, const oci::Digest& manifest) {
    auto& named_by = named_by_[blob.digest];
    if (named_by.empty()) blobs_.push_back(blob);
    if (named_by.empty() || named_by.back() != manifest) named_by.push_back(manifest);
  }

  /// For what a document names.
  Transfers transfers(const oci::Digest& document) const {
    Transfers transfers(images_, reference_, sink_, vertex_, trust_);
    transfers.stand_for(own_origin(word_, transfers.proofs().repository(), document), document);
    return transfers;
  }

  /// Whether a blob is here and may be used on the word of a document that names it.
  Result<bool> usable(const oci::Digest& document, const oci::Digest& blob) const {
    if (!TRY(images_.store.acquire_blob(images_.lease, blob))) return false;
    return transfers(document).proofs().hold(blob);
  }
  /// Of all manifests that name it.
  Result<bool> usable(const oci::Digest& blob) const {
    for (const auto& manifest : named_by_.at(blob))
      if (!TRY(usable(manifest, blob))) return false;
    return true;
  }

  Status upload(const oci::Descriptor& blob, const Cancel& cancel) {
    TransferReport report(sink_, vertex_, blob.digest.text(), blob.size);
    const auto find_mount = [&] { return mount_for(blob, cancel); };
    const auto open = [&](std::int64_t offset) -> Result<layer::Source> {
      TRY(prove(blob, cancel));
      auto file = std::make_shared<sys::Fd>(TRY(images_.store.open_blob(blob.digest)));
      return layer::Source([file, offset](char* buffer, std::size_t size) mutable -> Result<std::size_t> {
        const std::size_t got = TRY(sys::read_some_at(file->get(), buffer, size, offset));
        offset += static_cast<std::int64_t>(got);
        return got;
      });
    };
    if (TRY(usable(blob.digest))) TRY(verify(blob, cancel));
    const auto progress = [&](std::int64_t sent) { report.done(sent); };
    TRY(context(repository_.upload(blob, open, find_mount, progress, cancel), "while uploading {}",
                blob.digest.text()));
    return note_uploaded(store::Origins(images_.store), origin_of(reference_, repository_.trust()), blob,
                         report.farthest());
  }

  /// A repository of this registry that the blob may be mounted from. Knowing its digest gives nobody a right to it: as
  /// long as it is not proven to be the images' own, that is the one that they came from, which has to have it; from
  /// any other it is mounted once it was fetched.
  Result<std::optional<std::string>> mount_for(const oci::Descriptor& blob, const Cancel& cancel) {
    if (!TRY(usable(blob.digest))) {
      if (auto own = TRY(own_neighbour(blob.digest))) return own;
      TRY(prove(blob, cancel));
    }
    return store::Origins(images_.store)
        .repository_with(origin_of(reference_, repository_.trust()).registry, blob.digest);
  }

  /// The repository of this registry that all manifests have the blob from that may not use what is here, if it is one.
  Result<std::optional<std::string>> own_neighbour(const oci::Digest& blob) const {
    std::optional<std::string> own;
    for (const auto& manifest : named_by_.at(blob)) {
      if (TRY(usable(manifest, blob))) continue;
      const auto whose = transfers(manifest).proofs().own();
      const auto place = whose ? TRY(place_of(images_.store, *whose, blob)) : std::nullopt;
      if (!place || place->registry() != reference_.registry()) return std::nullopt;
      if (own && *own != place->repository()) return std::nullopt;
      own = place->repository();
    }
    return own;
  }

  /// Makes the bytes be here, proven to be the images' own, and what their configs say.
  Status prove(const oci::Descriptor& blob, const Cancel& cancel) {
    if (!TRY(usable(blob.digest))) TRY(fetch(blob, cancel));
    return verify(blob, cancel);
  }

  /// A layer that nothing has needed yet, or that is somebody else's as far as this store knows.
  Status fetch(const oci::Descriptor& blob, const Cancel& cancel) {
    if (fetch_) TRY(fetch_(blob, cancel));
    for (const auto& manifest : named_by_.at(blob.digest)) {
      const auto transfers = this->transfers(manifest);
      if (fetch_)
        TRY(transfers.proofs().note_own(blob.digest));
      else
        (void)TRY(transfers.ensure(blob, nullptr, cancel));
    }
    return {};
  }

  /// Nobody gets a manifest from here whose bytes are not what its config says.
  Status verify(const oci::Descriptor& blob, const Cancel& cancel) const {
    const auto diff = diffs_.find(blob.digest);
    return diff == diffs_.end() ? Status() : verify_layer(images_.store, blob, diff->second, cancel);
  }

  Status put(const Document& document, const std::string& tag_or_digest) {
    TRY(context(repository_.put_manifest(document.bytes, document.media_type, tag_or_digest, cancel_),
                "while uploading the manifest"));
    return store::Origins(images_.store).note(origin_of(reference_, repository_.trust()), document.digest);
  }

  const Images& images_;
  const oci::Reference& reference_;
  progress::Sink& sink_;
  const progress::VertexId vertex_;
  const Cancel& cancel_;
  const bool by_digest_;
  const std::function<Status(const oci::Descriptor&, const Cancel&)> fetch_;
  const registry::Trust trust_;
  const registry::Repository repository_;
  std::string word_;  ///< of the name; what has none was made here (proofs.hpp)
  std::vector<oci::Descriptor> blobs_;
  std::map<oci::Digest, std::vector<oci::Digest>> named_by_;  ///< blob → manifests
  std::map<oci::Digest, oci::DiffId> diffs_;                  ///< of those that are layers
  std::vector<Document> documents_;
};

}  // namespace

Result<oci::Descriptor> Images::push(const oci::Digest& target, const std::string& media_type,
                                     const oci::Reference& reference, progress::Sink& sink, const Cancel& cancel,
                                     const PushOptions& options) const {
  if (options.vertex) return Push(*this, reference, sink, *options.vertex, cancel, options).run(target, media_type);
  constexpr progress::VertexId kOwn = 1;
  sink.on(progress::Started{kOwn, "push " + reference.familiar()});
  auto pushed = Push(*this, reference, sink, kOwn, cancel, options).run(target, media_type);
  sink.on(progress::Finished{kOwn, pushed ? "" : pushed.error().message()});
  return pushed;
}

}  // namespace slipway::image
