#include "image/transfers.hpp"

#include "base/text.hpp"
#include "image/layout_directory.hpp"

namespace slipway::image {
namespace {

constexpr std::string_view kPlace = "place of a layer of an image";  // "<manifest> <blob>" → "<registry>/<repository>"

bool is_refusal(Code code) {
  return code == Code::kNotFound || code == Code::kUnauthenticated || code == Code::kPermissionDenied;
}

std::string place_key(std::string_view document, const oci::Digest& blob) {
  return fmt::format("{} {}", document, blob.text());
}

Result<std::optional<oci::Reference>> find_place(const store::Store& store, std::string_view document,
                                                 const oci::Digest& blob) {
  const auto text = TRY(store.recall(kPlace, place_key(document, blob)));
  if (!text) return std::nullopt;
  auto place = oci::Reference::parse(*text);
  return place ? std::optional(*std::move(place)) : std::nullopt;
}

}  // namespace

Status remember_place(store::Store& store, const oci::Digest& document, const oci::Reference& place,
                      const std::vector<oci::Digest>& blobs) {
  std::vector<std::pair<std::string, std::string>> facts;
  for (const auto& blob : blobs)
    facts.emplace_back(place_key(document.text(), blob), place.registry() + "/" + place.repository());
  return facts.empty() ? Status() : store.remember(kPlace, facts);
}

Result<std::optional<oci::Reference>> place_of(const store::Store& store, const oci::Digest& document,
                                               const oci::Digest& blob) {
  return find_place(store, document.text(), blob);
}

Result<std::optional<oci::Reference>> place_of(const store::Store& store, const store::Origin& own,
                                               const oci::Digest& blob) {
  if (auto giver = giver_of(own)) return giver;
  return find_place(store, own.repository, blob);
}

Result<std::optional<oci::Reference>> place_of(const store::Store& store, const Resolved& image,
                                               const oci::Digest& blob) {
  if (image.own) return place_of(store, *image.own, blob);
  return image.reference;
}

void Transfers::show_notices() const {
  for (auto& line : images_.client.take_notices()) sink_.on(progress::Warning{std::move(line)});
}

Result<bool> Transfers::holds(const oci::Descriptor& blob) const {
  const auto& own = proofs_.own();
  return own && own->is_folder() ? folder_shows(images_.store, *own, {blob.digest, blob.size})
                                 : proofs_.hold(blob.digest);
}

Result<bool> Transfers::usable(const oci::Descriptor& blob) const {
  const auto known = TRY(images_.store.acquire_blob(images_.lease, blob.digest));
  if (!known || !TRY(holds(blob))) return false;
  if (known->size != blob.size)
    return fail(Code::kDataLoss, "the blob {} of {} has {} bytes, the manifest says {}", blob.digest.text(),
                reference_.familiar(), known->size, blob.size);
  return true;
}

Result<bool> Transfers::becomes_usable(const oci::Descriptor& blob, const Cancel& cancel) const {
  if (proofs_.own() && proofs_.own()->is_folder()) {
    const auto layout = TRY(LayoutDirectory::open(proofs_.own()->repository));
    (void)TRY(layout.bring(images_.store, images_.lease, blob, cancel));
    return true;
  }
  const bool here = TRY(images_.store.acquire_blob(images_.lease, blob.digest)).has_value();
  return here && TRY(proofs_.ask(blob.digest, cancel)) && TRY(usable(blob));
}

Result<Arrival> Transfers::ensure(const oci::Descriptor& blob, const layer::Target& tee, const Cancel& cancel) const {
  if (TRY(usable(blob))) return Arrival::kWasHere;
  // Whoever holds the lock transfers; the others find the blob when they get it.
  const auto lock = TRY(images_.store.lock_key(blob.digest, cancel));
  if (TRY(usable(blob)) || TRY(becomes_usable(blob, cancel))) return Arrival::kWasHere;
  bool begun = false;
  if (const auto arrival = TRY(take_from_place(blob, tee, begun, cancel))) return *arrival;
  Arrival arrival = begun ? Arrival::kSpoiled : Arrival::kTransferred;
  auto status = download(repository_, blob, begun ? nullptr : tee, begun, cancel);
  if (!status && status.error().code() == Code::kDataLoss && repository_.falls_back()) {
    sink_.on(progress::Warning{fmt::format("a mirror served wrong bytes: {}", status.error().what())});
    status = download(repository_.without_mirrors(), blob, nullptr, begun, cancel);
    arrival = Arrival::kSpoiled;
  }
  show_notices();
  if (!status && is_refusal(status.error().code())) TRY(proofs_.note_refused(blob.digest));
  const auto word =
      TRY(context(std::move(status), "while fetching {} for {}", blob.digest.text(), reference_.familiar()));
  if (word == registry::Word::kFirm) TRY(proofs_.note_served(blob.digest));
  return arrival;
}

Result<std::optional<Arrival>> Transfers::take_from_place(const oci::Descriptor& blob, const layer::Target& tee,
                                                          bool& begun, const Cancel& cancel) const {
  const auto place = proofs_.own() ? TRY(place_of(images_.store, *proofs_.own(), blob.digest)) : std::nullopt;
  if (!place) return std::nullopt;
  const auto repository = images_.client.repository(*place);
  const Proofs there(images_.store, *place, repository);
  const bool here = TRY(images_.store.acquire_blob(images_.lease, blob.digest)).has_value();
  const bool known = here && (TRY(there.hold(blob.digest)) || TRY(there.ask(blob.digest, cancel)));
  if (!known) {
    auto done = download(repository, blob, tee, begun, cancel);
    if (!done && done.error().code() == Code::kCancelled) return std::unexpected(done.error());
    // Whom the name says is a stranger to these bytes, unless they were seen there: "mine" is a name of Docker Hub's.
    if (!done && TRY(store::Origins(images_.store).had(proofs_.repository(), blob.digest))) return std::nullopt;
    if (!done)
      return std::unexpected(std::move(done).error().add_context(
          fmt::format("while fetching {} for {} from {}, where it came from", blob.digest.text(), reference_.familiar(),
                      place->familiar_name())));
    if (*done == registry::Word::kStale) return Arrival::kTransferred;
    TRY(there.note_served(blob.digest));
  }
  TRY(proofs_.note_own(blob.digest));
  return known ? Arrival::kWasHere : Arrival::kTransferred;
}

Result<registry::Word> Transfers::download(const registry::Repository& repository, const oci::Descriptor& blob,
                                           const layer::Target& tee, bool& begun, const Cancel& cancel) const {
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
  const auto word = TRY(repository.blob(blob, take, cancel));
  TRY(writer.commit({.digest = blob.digest, .size = blob.size}));
  return word;
}

}  // namespace slipway::image
