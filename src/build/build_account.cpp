#include "build/build_account.hpp"

#include "base/text.hpp"
#include "build/packed.hpp"

namespace slipway::build {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kSteps = 10'000;
constexpr std::size_t kIngredients = 10'000;
constexpr std::size_t kTextLimit = 1000;
constexpr std::size_t kDocumentLimit = 16 << 20;

void put(Packer& out, std::string_view text) { out.text(text.substr(0, kTextLimit)); }
Result<std::string> get(Unpacker& in) { return std::string(TRY(in.text(kTextLimit))); }

Result<oci::Digest> get_digest(Unpacker& in) {
  auto digest = oci::Digest::from_raw_sha256(TRY(in.text(32)));
  if (!digest) return Unpacker::broken();
  return *digest;
}

void put(Packer& out, const StepAccount& step) {
  put(out, step.name);
  put(out, step.stage);
  out.number(step.place);
  put(out, step.kind);
  put(out, step.text);
  out.text(step.key.raw());
  out.number(static_cast<unsigned char>(step.ended));
  for (const auto* text :
       {&step.reason.kind, &step.reason.name, &step.reason.text, &step.reason.mount, &step.reason.follows})
    put(out, *text);
}

Result<StepAccount> get_step(Unpacker& in) {
  std::string name = TRY(get(in));
  std::string stage = TRY(get(in));
  const std::uint64_t place = TRY(in.number());
  std::string kind = TRY(get(in));
  std::string text = TRY(get(in));
  const oci::Digest key = TRY(get_digest(in));
  const std::uint64_t ended = TRY(in.number(4));
  if (ended == 0) return Unpacker::broken();
  StepReason reason;
  for (auto* into : {&reason.kind, &reason.name, &reason.text, &reason.mount, &reason.follows}) *into = TRY(get(in));
  return StepAccount{.name = std::move(name),
                     .stage = std::move(stage),
                     .place = place,
                     .kind = std::move(kind),
                     .text = std::move(text),
                     .key = key,
                     .ended = static_cast<StepAccount::Ended>(ended),
                     .reason = std::move(reason)};
}

void put(Packer& out, const Ingredient& each) {
  out.number(static_cast<unsigned char>(each.what));
  put(out, each.name);
  put(out, each.value);
  put(out, each.via);
  put(out, each.from);
  out.text(each.listing ? each.listing->raw() : std::string_view());
}

Result<Ingredient> get_ingredient(Unpacker& in) {
  Ingredient each;
  const std::uint64_t what = TRY(in.number(static_cast<unsigned char>(What::kOther)));
  if (what == 0) return Unpacker::broken();
  each.what = static_cast<What>(what);
  for (auto* into : {&each.name, &each.value, &each.via, &each.from}) *into = TRY(get(in));
  const std::string_view listing = TRY(in.text(32));
  if (listing.empty()) return each;
  auto digest = oci::Digest::from_raw_sha256(listing);
  if (!digest) return Unpacker::broken();
  each.listing = *digest;
  return each;
}

}  // namespace

std::string BuildAccount::encode() const {
  Packer out;
  out.number(kVersion);
  put(out, project);
  const std::size_t count = std::min(steps.size(), kSteps);
  out.number(count);
  for (std::size_t i = 0; i < count; ++i) put(out, steps[i]);
  return out.take();
}

Result<BuildAccount> BuildAccount::decode(std::string_view bytes) {
  if (bytes.size() > kDocumentLimit) return Unpacker::broken();
  Unpacker in(bytes);
  if (TRY(in.number()) != kVersion) return Unpacker::broken();
  BuildAccount account;
  account.project = TRY(get(in));
  const std::uint64_t count = TRY(in.number(kSteps));
  for (std::uint64_t i = 0; i < count; ++i) account.steps.push_back(TRY(get_step(in)));
  TRY(in.end());
  return account;
}

ShownName take_apart(std::string_view name) {
  const ShownName whole{.stage = {}, .place = 0, .text = name};
  const auto end = name.find("] ");
  if (!name.starts_with('[') || end == std::string_view::npos) return whole;
  const std::string_view inside = name.substr(1, end - 1);
  const auto blank = inside.rfind(' ');
  const std::string_view count = blank == std::string_view::npos ? inside : inside.substr(blank + 1);
  const auto number = parse_size(count.substr(0, count.find('/')));
  if (!number || !count.contains('/')) return whole;
  return {.stage = blank == std::string_view::npos ? std::string_view() : inside.substr(0, blank),
          .place = static_cast<std::uint64_t>(*number),
          .text = name.substr(end + 2)};
}

std::string encode(const std::vector<Ingredient>& ingredients) {
  Packer out;
  out.number(kVersion);
  const std::size_t count = std::min(ingredients.size(), kIngredients);
  out.number(count);
  for (std::size_t i = 0; i < count; ++i) put(out, ingredients[i]);
  return out.take();
}

Result<std::vector<Ingredient>> decode_ingredients(std::string_view bytes) {
  if (bytes.size() > kDocumentLimit) return Unpacker::broken();
  Unpacker in(bytes);
  if (TRY(in.number()) != kVersion) return Unpacker::broken();
  const std::uint64_t count = TRY(in.number(kIngredients));
  std::vector<Ingredient> ingredients;
  for (std::uint64_t i = 0; i < count; ++i) ingredients.push_back(TRY(get_ingredient(in)));
  TRY(in.end());
  return ingredients;
}

}  // namespace slipway::build
