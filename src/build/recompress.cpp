#include "build/recompress.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "base/text.hpp"
#include "image/layer_check.hpp"
#include "image/parallel.hpp"
#include "layer/codec.hpp"
#include "layer/hashed_target.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

/// How a layer's bytes shall be.
struct Encoding {
  oci::Compression compression = oci::Compression::kGzip;
  std::optional<int> level;
};

std::string_view name_of(oci::Compression compression) {
  switch (compression) {
    case oci::Compression::kNone:
      return "uncompressed";
    case oci::Compression::kGzip:
      return "gzip";
    case oci::Compression::kZstd:
      return "zstd";
  }
  return "";
}

/// Nothing: the layer stays as it is. Layers of base images have no time of their own.
std::optional<Encoding> wanted(const LayerFacts& facts, oci::Compression is, const ImageFormat& format) {
  const bool ours = facts.created.has_value();
  const bool no_type = format.family == oci::Family::kDocker && is == oci::Compression::kZstd;
  if (format.compression && (ours || format.force)) {
    if (is != *format.compression) return Encoding{*format.compression, format.level};
    if (ours && format.level) return Encoding{*format.compression, format.level};
    return std::nullopt;
  }
  return no_type ? std::optional(Encoding{}) : std::nullopt;
}

/// Levels are remembered by name: the store's table of layers knows of compressions only.
std::string memory_key(const LayerFacts& facts, const Encoding& encoding) {
  return fmt::format("{} {} {}", facts.diff.digest.text(), name_of(encoding.compression), encoding.level.value_or(-1));
}
constexpr std::string_view kMemory = "encoded layer";

Result<std::optional<store::Blob>> find_encoded(const Workshop& shop, const LayerFacts& facts,
                                                const Encoding& encoding) {
  if (!encoding.level) {
    for (const auto& known : TRY(shop.store.layer_blobs(facts.diff)))
      if (known.compression == encoding.compression)
        if (const auto blob = TRY(shop.store.acquire_blob(shop.lease, known.blob.digest))) return blob;
    return std::nullopt;
  }
  const auto text = TRY(shop.store.recall(kMemory, memory_key(facts, encoding)));
  if (!text) return std::nullopt;
  const auto digest = oci::Digest::parse(*text);
  if (!digest) return std::nullopt;
  // Nothing but the bytes themselves says what they unpack to: the table of layers was filled when they were written.
  const auto layer = TRY(shop.store.layer_of_blob(*digest));
  if (!layer || layer->diff != facts.diff || layer->compression != encoding.compression) return std::nullopt;
  return shop.store.acquire_blob(shop.lease, *digest);
}

Result<store::Blob> encode(const Workshop& shop, const LayerFacts& facts, const Encoding& encoding,
                           const Cancel& cancel) {
  const sys::Fd file = TRY(shop.store.open_blob(facts.blob.digest));
  const layer::Source plain = TRY(layer::decoder([&](char* buffer, std::size_t size) -> Result<std::size_t> {
    TRY(cancel.check());
    return sys::read_some(file.get(), buffer, size);
  }));
  store::BlobWriter writer = TRY(shop.store.write_blob(shop.lease));
  const auto encoder =
      layer::encoder(encoding.compression, [&](std::string_view bytes) { return writer.write(bytes); }, encoding.level);
  layer::HashedTarget hashed([&](std::string_view bytes) { return encoder->write(bytes); });
  std::vector<char> buffer(256 * 1024);
  while (const std::size_t got = TRY(plain(buffer.data(), buffer.size()))) TRY(hashed.write({buffer.data(), got}));
  const oci::DiffId diff = TRY(hashed.finish());
  TRY(encoder->finish());
  if (diff != facts.diff)
    return std::unexpected(
        Error(Code::kDataLoss, fmt::format("the layer {} unpacks to {}, should be {}", facts.blob.digest.text(),
                                           diff.digest.text(), facts.diff.digest.text()))
            .with_hint("run slipway fsck --repair"));
  const store::Blob blob = TRY(writer.commit({}));
  TRY(shop.store.note_layer(
      {.diff = facts.diff, .blob = blob, .compression = encoding.compression, .tree_bytes = facts.tree_bytes}));
  if (encoding.level) TRY(shop.store.remember(kMemory, memory_key(facts, encoding), blob.digest.text()));
  return blob;
}

Result<store::Blob> encoded(const Workshop& shop, const LayerFacts& facts, const Encoding& encoding,
                            const Cancel& cancel) {
  if (const auto known = TRY(find_encoded(shop, facts, encoding))) return *known;
  // One process writes it, the others find it.
  const auto lock = TRY(shop.store.lock_key(oci::Digest::of("encode " + memory_key(facts, encoding)), cancel));
  if (const auto known = TRY(find_encoded(shop, facts, encoding))) return *known;
  return context(encode(shop, facts, encoding, cancel), "while writing the layer {} as {}", facts.blob.digest.text(),
                 name_of(encoding.compression));
}

oci::Descriptor described(oci::Descriptor blob, const ImageFormat& format) {
  oci::Descriptor out{.media_type = blob.media_type, .digest = blob.digest, .size = blob.size};
  if (const auto compression = oci::media_type::layer_compression(blob.media_type))
    out.media_type = oci::media_type::layer(format.family, *compression);
  return out;
}

/// What the bytes were found to be counts more than what a manifest calls them. Nothing: no layer that we can read.
Result<std::optional<oci::Compression>> compression_of(const Workshop& shop, const LayerFacts& facts) {
  const auto told = oci::media_type::layer_compression(facts.blob.media_type);
  if (!told) return told;
  const auto known = TRY(shop.store.layer_of_blob(facts.blob.digest));
  return known ? known->compression : *told;
}

/// Other bytes of the layer are known by its diff ID: it has to be that of bytes that may be used.
Status fetch_and_verify(const Workshop& shop, const std::shared_ptr<Layer>& layer, progress::VertexId vertex,
                        const Cancel& cancel) {
  TRY(fetch_layers(shop, Stack({layer}), vertex, cancel));
  const LayerFacts facts = *layer->facts();
  return image::verify_layer(shop.store, facts.blob, facts.diff, cancel);
}

}  // namespace

Result<std::vector<oci::Descriptor>> layers_in(const ImageFormat& format, const Workshop& shop, const Stack& stack,
                                               progress::VertexId vertex, const Cancel& cancel) {
  std::vector<oci::Descriptor> out;
  std::vector<std::pair<std::size_t, Encoding>> work;
  const bool particular = format.compression || format.family == oci::Family::kDocker;
  for (std::size_t i = 0; i < stack.layers().size(); ++i) {
    const LayerFacts facts = *stack.layers()[i]->facts();
    out.push_back(described(facts.blob, format));
    if (!particular) continue;
    const auto compression = TRY(compression_of(shop, facts));
    const auto encoding = compression ? wanted(facts, *compression, format) : std::nullopt;
    if (!encoding) continue;
    TRY(fetch_and_verify(shop, stack.layers()[i], vertex, cancel));
    work.emplace_back(i, *encoding);
  }
  if (work.empty()) return out;
  const auto threads = static_cast<int>(std::max(2u, std::thread::hardware_concurrency()));
  TRY(image::for_each_parallel(work.size(), threads, cancel, [&](std::size_t n, const Cancel& inner) -> Status {
    const auto& [index, encoding] = work[n];
    const store::Blob blob = TRY(encoded(shop, *stack.layers()[index]->facts(), encoding, inner));
    out[index] = {.media_type = std::string(oci::media_type::layer(format.family, encoding.compression)),
                  .digest = blob.digest,
                  .size = blob.size};
    return {};
  }));
  return out;
}

Status fetch_layers(const Workshop& shop, const Stack& stack, progress::VertexId vertex, const Cancel& cancel) {
  std::map<const image::Resolved*, std::vector<oci::Digest>> wanted;
  for (const auto& layer : stack.layers())
    if (layer->base()) wanted[layer->base().get()].push_back(layer->facts()->blob.digest);
  for (const auto& [base, blobs] : wanted) TRY(shop.images.fetch_layers(*base, blobs, shop.sink, vertex, cancel));
  return {};
}

}  // namespace slipway::build
