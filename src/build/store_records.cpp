#include "build/store_records.hpp"

namespace slipway::build {
namespace {

struct HeldLock final : solver::Records::Lock {
  explicit HeldLock(sys::FileLock held) : lock(std::move(held)) {}
  sys::FileLock lock;
};

}  // namespace

// value of a record: the key that dependents see, a newline, the stack.
Result<std::optional<solver::Record>> StoreRecords::find(const solver::Key& key) {
  const auto found = TRY(shop_.store.acquire_record(shop_.lease, shop_.scope, key));
  if (!found) return std::nullopt;
  const auto newline = found->value.find('\n');
  auto shown = oci::Digest::parse(std::string_view(found->value).substr(0, newline));
  if (!shown || newline == std::string::npos) {
    TRY(shop_.store.remove_record(shop_.scope, key));  // of another version: as good as none
    return std::nullopt;
  }
  return solver::Record{*shown, found->value.substr(newline + 1)};
}

Status StoreRecords::put(const solver::Key& key, const solver::Record& record) {
  const auto stack = TRY(Stack::decode(record.value));
  store::Record row{
      .key = key, .scope = shop_.scope, .value = record.key.text() + "\n" + record.value, .snapshots = {}, .blobs = {}};
  for (const auto& layer : stack->layers()) {
    const LayerFacts facts = *layer->facts();
    if (!facts.without_tree) row.snapshots.push_back(facts.chain);
    row.blobs.push_back(facts.blob.digest);
  }
  return shop_.store.put_record(row);
}

Result<std::unique_ptr<solver::Records::Lock>> StoreRecords::lock(const solver::Key& key, const Cancel& cancel) {
  return std::make_unique<HeldLock>(TRY(shop_.store.lock_key(key, cancel)));
}

}  // namespace slipway::build
