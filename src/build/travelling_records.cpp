#include "build/travelling_records.hpp"

#include "base/text.hpp"

namespace slipway::build {

StoreRecords& TravellingRecords::borrowed() {
  std::call_once(borrowing_, [&] {
    borrowed_.emplace(shop_, shop_.scope + " with caches " + oci::Digest::of(caches_->answers()).hex());
  });
  return *borrowed_;
}

Result<std::optional<solver::Record>> TravellingRecords::find_borrowed(std::size_t vertex, const solver::Key& key) {
  auto record = TRY(borrowed().find(vertex, key));
  if (record && !caches_->answered(*TRY(Stack::decode(record->value)))) record.reset();
  return record;
}

Result<std::optional<solver::Record>> TravellingRecords::find(std::size_t vertex, const solver::Key& key) {
  auto record = TRY(own_.find(vertex, key));
  if (!record && caches_ != nullptr) record = TRY(find_borrowed(vertex, key));
  if (record && !TRY(bases_.proven(vertex))) return std::nullopt;
  return record;
}

Status TravellingRecords::put(const solver::Key& key, const solver::Record& record) {
  if (caches_ == nullptr) return own_.put(key, record);
  const auto stack = TRY(caches_->decode(record.value));
  if (stack->caches().empty()) return own_.put(key, record);
  for (const auto& layer : stack->layers()) {  // what was not fetched is found in its cache again
    const oci::Digest blob = layer->facts()->blob.digest;
    const bool here = layer->base() ? TRY(shop_.images.holds(*layer->base(), blob))
                                    : TRY(shop_.store.acquire_blob(shop_.lease, blob)).has_value();
    if (!here) return {};
  }
  return borrowed().put(key, record);
}

Result<std::optional<solver::Record>> TravellingRecords::find_otherwise(std::size_t vertex, const solver::Key& key,
                                                                        const std::vector<solver::OutputPtr>& outputs) {
  if (caches_ == nullptr) return std::nullopt;
  return caches_->find(vertex, key, outputs);
}

Result<std::unique_ptr<solver::Records::Lock>> TravellingRecords::lock(const solver::Key& key, const Cancel& cancel) {
  return own_.lock(key, cancel);
}

Status TravellingRecords::keep(const std::vector<solver::Solved>& solved) {
  if (caches_ == nullptr) return {};
  for (const auto& vertex : solved) {
    if (!vertex.value || !vertex.key || !vertex.fast || !vertex.output) continue;
    const auto stack = Stack::decode(*vertex.value);
    if (!stack || (*stack)->caches().empty() || TRY(borrowed().find(0, *vertex.key))) continue;
    const solver::Record record{*vertex.key, *vertex.value};
    TRY(put(*vertex.key, record));
    if (*vertex.fast != *vertex.key) TRY(put(*vertex.fast, record));
  }
  return {};
}

}  // namespace slipway::build
