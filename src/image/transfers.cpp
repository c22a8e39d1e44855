#include "image/transfers.hpp"

#include "base/text.hpp"

namespace slipway::image {
namespace {
constexpr std::string_view kOrigin = "origin";
constexpr std::string_view kPlace = "place of a layer";
}  // namespace

std::string origin_of(const oci::Reference& reference) { return reference.registry() + "/" + reference.repository(); }

Result<std::optional<std::string>> neighbour_with(const store::Store& store, const oci::Reference& reference,
                                                  const oci::Digest& blob) {
  const auto origin = TRY(store.recall(kOrigin, blob.text()));
  const std::string prefix = reference.registry() + "/";
  if (!origin || !origin->starts_with(prefix)) return std::nullopt;
  return origin->substr(prefix.size());
}

Status remember_origin(store::Store& store, const oci::Reference& reference, const oci::Digest& blob) {
  return store.remember(kOrigin, blob.text(), origin_of(reference));
}

Status remember_place(const Images& images, const oci::Reference& reference, const std::vector<oci::Digest>& blobs) {
  std::vector<std::pair<std::string, std::string>> facts;
  for (const auto& blob : blobs) facts.emplace_back(images.scope + " " + blob.text(), origin_of(reference));
  return images.store.remember(kPlace, facts);
}

void Transfers::show_notices() const {
  for (auto& line : images_.client.take_notices()) sink_.on(progress::Warning{std::move(line)});
}

Result<bool> Transfers::usable(const oci::Descriptor& blob) const {
  const auto known = TRY(images_.store.acquire_blob(images_.lease, blob.digest));
  if (!known) return false;
  if (known->size != blob.size)
    return fail(Code::kDataLoss, "the blob {} of {} has {} bytes, the manifest says {}", blob.digest.text(),
                reference_.familiar(), known->size, blob.size);
  return proofs_.hold(reference_, blob.digest);
}

Result<Arrival> Transfers::ensure(const oci::Descriptor& blob, const layer::Target& tee, const Cancel& cancel) const {
  if (TRY(usable(blob))) return Arrival::kWasHere;
  // Whoever holds the lock transfers; the others find the blob when they get it.
  const auto lock = TRY(images_.store.lock_key(blob.digest, cancel));
  if (TRY(usable(blob))) return Arrival::kWasHere;
  bool begun = false;
  if (TRY(download_from_place(blob, tee, begun, cancel))) return Arrival::kTransferred;
  Arrival arrival = begun ? Arrival::kSpoiled : Arrival::kTransferred;
  auto status = download(repository_, reference_, blob, begun ? nullptr : tee, begun, cancel);
  if (!status && status.error().code() == Code::kDataLoss && repository_.falls_back()) {
    sink_.on(progress::Warning{fmt::format("a mirror served wrong bytes: {}", status.error().what())});
    status = download(repository_.without_mirrors(), reference_, blob, nullptr, begun, cancel);
    arrival = Arrival::kSpoiled;
  }
  show_notices();
  TRY(context(std::move(status), "while fetching {} for {}", blob.digest.text(), reference_.familiar()));
  return arrival;
}

Result<bool> Transfers::download_from_place(const oci::Descriptor& blob, const layer::Target& tee, bool& begun,
                                            const Cancel& cancel) const {
  const auto place = TRY(images_.store.recall(kPlace, images_.scope + " " + blob.digest.text()));
  if (!place || *place == origin_of(reference_)) return false;
  const auto other = oci::Reference::parse(*place);
  if (!other) return false;
  const Status done = download(images_.client.repository(*other), *other, blob, tee, begun, cancel);
  if (!done && done.error().code() == Code::kCancelled) return std::unexpected(done.error());
  return done.has_value();
}

Status Transfers::download(const registry::Repository& repository, const oci::Reference& reference,
                           const oci::Descriptor& blob, const layer::Target& tee, bool& begun,
                           const Cancel& cancel) const {
  if (const auto free = images_.store.free_bytes(); blob.size > free)
    return fail(Code::kResourceExhausted, "the blob {} has {}; the store's disk has {} free", blob.digest.text(),
                human_size(blob.size), human_size(free));
  auto writer = TRY(images_.store.write_blob(images_.lease));
  TransferReport report(sink_, vertex_, blob.digest.text(), blob.size);
  const auto take = [&](std::string_view bytes) -> Status {
    TRY(writer.write(bytes));
    begun = begun || (tee && !bytes.empty());
    if (tee) TRY(tee(bytes));
    report.done(writer.written());
    return {};
  };
  TRY(repository.blob(blob, take, cancel));
  TRY(writer.commit({.digest = blob.digest, .size = blob.size}));
  return proofs_.note_served(reference, blob.digest);
}

}  // namespace slipway::image
