#include "image/transfers.hpp"

#include "base/text.hpp"

namespace slipway::image {
namespace {
constexpr std::string_view kOrigin = "origin";
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
  Arrival arrival = Arrival::kTransferred;
  auto status = download(repository_, blob, tee, cancel);
  if (!status && status.error().code() == Code::kDataLoss && repository_.falls_back()) {
    sink_.on(progress::Warning{fmt::format("a mirror served wrong bytes: {}", status.error().what())});
    status = download(repository_.without_mirrors(), blob, nullptr, cancel);
    arrival = Arrival::kSpoiled;
  }
  show_notices();
  TRY(context(std::move(status), "while fetching {} for {}", blob.digest.text(), reference_.familiar()));
  return arrival;
}

Status Transfers::download(const registry::Repository& repository, const oci::Descriptor& blob,
                           const layer::Target& tee, const Cancel& cancel) const {
  if (const auto free = images_.store.free_bytes(); blob.size > free)
    return fail(Code::kResourceExhausted, "the blob {} has {}; the store's disk has {} free", blob.digest.text(),
                human_size(blob.size), human_size(free));
  auto writer = TRY(images_.store.write_blob(images_.lease));
  TransferReport report(sink_, vertex_, blob.digest.text(), blob.size);
  const auto take = [&](std::string_view bytes) -> Status {
    TRY(writer.write(bytes));
    if (tee) TRY(tee(bytes));
    report.done(writer.written());
    return {};
  };
  TRY(repository.blob(blob, take, cancel));
  TRY(writer.commit({.digest = blob.digest, .size = blob.size}));
  return proofs_.note_served(reference_, blob.digest);
}

}  // namespace slipway::image
