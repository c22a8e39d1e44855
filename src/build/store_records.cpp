#include "build/store_records.hpp"

namespace slipway::build {
namespace {

struct HeldLock final : solver::Records::Lock {
  explicit HeldLock(sys::FileLock held) : lock(std::move(held)) {}
  sys::FileLock lock;
};

}  // namespace

// value of a record: the key that dependents see; its parts are the layers of the stack.
Result<std::optional<solver::Record>> StoreRecords::find(std::size_t, const solver::Key& key) {
  const auto found = TRY(shop_.store.acquire_record(shop_.lease, scope_, key));
  if (!found) return std::nullopt;
  auto shown = oci::Digest::parse(found->value);
  if (!shown) {
    TRY(shop_.store.remove_record(scope_, key));  // not ours: as good as none
    return std::nullopt;
  }
  std::vector<std::string> layers;
  for (const auto& part : found->parts) layers.push_back(part.value);
  return solver::Record{*shown, Stack::join(layers)};
}

Status StoreRecords::put(const solver::Key& key, const solver::Record& record) {
  const auto stack = TRY(Stack::decode(record.value));
  store::Record row{.key = key, .scope = scope_, .value = record.key.text(), .parts = {}};
  for (const auto& layer : stack->layers()) {
    const LayerFacts facts = *layer->facts();
    store::RecordPart part{.value = encode(facts), .snapshot = {}, .blob = facts.blob.digest};
    if (!facts.without_tree) part.snapshot = facts.chain;
    row.parts.push_back(std::move(part));
  }
  return shop_.store.put_record(row);
}

Result<std::unique_ptr<solver::Records::Lock>> StoreRecords::lock(const solver::Key& key, const Cancel& cancel) {
  return std::make_unique<HeldLock>(TRY(shop_.store.lock_key(key, cancel)));
}

}  // namespace slipway::build
