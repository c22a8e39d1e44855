// store_worker: a process of the store's tests. Every command prints "ok" or the error, and one '.' per step of `loop`.
//
//   store_worker ROOT build SEED | verify SEED | forget SEED | gc [MAX] | fsck | repair | loop SEED STEPS
#include <cstdlib>
#include <iostream>

#include "store/test_image.hpp"

namespace slipway::store::testing {
namespace {

Status forget_seed(Store& store, std::uint64_t seed) {
  TRY(store.remove_name(kScope, seed_name(seed), Durable::kYes));
  return store.remove_record(kScope, seed_key(seed));
}

Status report(const std::vector<Finding>& findings) {
  for (const auto& finding : findings) std::cerr << finding.object << " " << finding.problem << "\n";
  if (!findings.empty()) return fail(Code::kDataLoss, "fsck found {} problems", findings.size());
  return {};
}

/// A build whose cache is warm: what the record says must be there to the last byte.
Status use_record(Store& store, std::uint64_t seed) {
  const Lease lease = TRY(store.lease("use"));
  const auto record = TRY(store.acquire_record(lease, kScope, seed_key(seed)));
  if (!record) return {};
  for (const auto& part : record->parts) {
    const auto snapshot = TRY(store.acquire_snapshot(lease, *part.snapshot));
    if (!snapshot) return fail(Code::kDataLoss, "the record of seed {} has lost its snapshot", seed);
    const std::string own = TRY(sys::read_file(snapshot->directory + "/own.txt", 1 << 20));
    if (own != text_of(seed, 5000)) return fail(Code::kDataLoss, "the snapshot of seed {} has other bytes", seed);
    TRY(store.read_blob(*part.blob, 1 << 20));
  }
  return {};
}

/// Random steps over few seeds, so that processes meet.
Status loop(const std::string& root, std::uint64_t seed, int steps) {
  std::uint64_t state = seed + 1;
  const auto random = [&](std::uint64_t limit) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (state >> 33) % limit;
  };
  for (int i = 0; i < steps; ++i) {
    Store store = TRY(Store::open(root, {}));
    const std::uint64_t which = random(12);
    switch (random(8)) {
      case 0:
      case 1:
      case 2:
        TRY(context(build_seed(store, which), "while building seed {}", which));
        break;
      case 3:
      case 4: {
        const Status verified = context(verify_seed(store, which), "while verifying seed {}", which);
        if (!verified && verified.error().code() != Code::kNotFound) return verified;
        break;
      }
      case 5:
        TRY(context(use_record(store, which), "while using the record of seed {}", which));
        break;
      case 6:
        TRY(forget_seed(store, which));
        break;
      default:
        TRY(store.gc({.max_size = random(2) == 0 ? std::optional(std::int64_t{100000}) : std::nullopt}, Cancel()));
    }
    std::cout << '.' << std::flush;
  }
  return {};
}

Status run(const std::vector<std::string>& words) {
  const std::string& root = words.at(0);
  const std::string& command = words.at(1);
  const auto number = [&](std::size_t at) { return std::strtoull(words.at(at).c_str(), nullptr, 10); };
  if (command == "loop") return loop(root, number(2), static_cast<int>(number(3)));
  Store store = TRY(Store::open(root, {}));
  if (command == "build") return build_seed(store, number(2));
  if (command == "verify") return verify_seed(store, number(2));
  if (command == "forget") return forget_seed(store, number(2));
  if (command == "fsck") return report(TRY(store.fsck(false, Cancel())));
  if (command == "repair") {
    TRY(store.fsck(true, Cancel()));
    return report(TRY(store.fsck(false, Cancel())));
  }
  GcOptions options;
  if (words.size() > 2) options.max_size = static_cast<std::int64_t>(number(2));
  TRY(store.gc(options, Cancel()));
  return {};
}

}  // namespace
}  // namespace slipway::store::testing

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto done = slipway::store::testing::run(std::vector<std::string>(argv + 1, argv + argc));
  if (done) {
    std::cout << "ok\n";
    return 0;
  }
  std::cerr << slipway::name_of(done.error().code()) << ": " << done.error().message() << " " << done.error().hint()
            << "\n";
  return 1;
}
