#include "build/definition.hpp"

#include "base/text.hpp"
#include "build/buildkit_step.hpp"

namespace slipway::build {

std::string value_of(const oci::Digest& digest) { return std::string(digest.raw().substr(0, Ingredient::kValueBytes)); }

Definition& Definition::add(std::string_view label, std::string_view value) {
  const std::string head = fmt::format("{}:{}={}:", label.size(), label, value.size());
  hash_.update(head);
  hash_.update(value);
  if (in_part_) open_.append(head).append(value);
  return *this;
}

Definition& Definition::add(std::string_view label, const std::vector<std::string>& values) {
  add(label, std::to_string(values.size()));
  for (const auto& value : values) add(label, value);
  return *this;
}

Definition& Definition::part(What what, std::string_view name) {
  if (keep_ == Keep::kKey) return *this;
  close();
  parts_.push_back({.what = what, .name = std::string(name), .value = {}, .via = {}, .from = {}, .listing = {}});
  in_part_ = true;
  return *this;
}

Definition& Definition::no_part() {
  close();
  return *this;
}

Definition& Definition::files(const oci::Digest& content) {
  part(What::kFiles);
  if (keep_ == Keep::kParts) parts_.back().listing = content;
  return *this;
}

Definition& Definition::remark(What what, const std::vector<std::string>& values) {
  if (keep_ == Keep::kKey) return *this;
  Definition apart("remark");
  apart.add("value", values);
  close();
  parts_.push_back({.what = what, .name = {}, .value = value_of(apart.finish()), .via = {}, .from = {}, .listing = {}});
  return *this;
}

void Definition::close() {
  if (in_part_) parts_.back().value = value_of(oci::Digest::of(open_));
  open_.clear();
  in_part_ = false;
}

std::vector<Ingredient> Definition::parts() {
  close();
  return std::move(parts_);
}

Result<solver::Key> DescribedOp::definition(const Cancel& cancel) {
  Definition definition(kind());
  TRY(describe(definition, cancel));
  return definition.finish();
}

Result<std::optional<BuildkitStep>> DescribedOp::buildkit_step(const BuildkitAsk&, const Cancel&) {
  return std::nullopt;
}

Result<std::vector<Ingredient>> DescribedOp::ingredients(const Cancel& cancel) {
  Definition definition(kind(), Definition::Keep::kParts);
  TRY(describe(definition, cancel));
  return definition.parts();
}

}  // namespace slipway::build
