// Orders survive the wire between the builder's containers and init's arena, and a cut is noticed wherever it is.
#include "init/orders.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "init/arena.hpp"

namespace slipway::init {
namespace {

bool read(std::string_view bytes, StepOrders& orders) {
  Reader reader(bytes.data(), bytes.size());
  std::uint32_t magic = 0, version = 0;
  reader(magic, version);
  fields(reader, orders);
  return magic == kMagic && version == kVersion && reader.complete();
}

Orders<Owned> sample() {
  Orders<Owned> orders;
  orders.job = Job::kProbe;
  orders.uid_map = {{0, 1000, 1}, {1, 100000, 65536}};
  orders.bases = {{"/store/snapshots", true, true}, {"/store/work/l/d", false, false}};
  orders.lowers = {{0, "b/fs"}, {0, "a/fs"}};
  orders.upper = {1, "fs"};
  orders.environment = {"A=1", std::string("B=") + std::string(100000, 'x')};
  orders.shm_bytes = std::uint64_t{1} << 40;
  Mount<Owned> mount;
  mount.kind = MountKind::kFile;
  mount.target = "/run/s";
  mount.content = std::string("\0secret", 7);
  mount.over_link = true;
  orders.mounts = {mount};
  Barred barred;
  barred.family = 2;
  barred.address[3] = 7;
  barred.prefix = 32;
  orders.barred = {barred};
  return orders;
}

TEST(Orders, ComeBackAsTheyWere) {
  auto orders = sample();
  const std::string wire = encode(orders);
  StepOrders back;
  ASSERT_TRUE(read(wire, back));
  EXPECT_EQ(back.job, Job::kProbe);
  EXPECT_EQ(back.uid_map[1].outside, 100000U);
  EXPECT_TRUE(back.bases[0].id_mapped);
  EXPECT_FALSE(back.bases[1].id_mapped);
  EXPECT_TRUE(back.bases[0].read_only);
  EXPECT_FALSE(back.bases[1].read_only);
  EXPECT_STREQ(back.lowers[1].path.data, "a/fs");
  EXPECT_EQ(std::string_view(back.environment[1].data), orders.environment[1]);
  EXPECT_EQ(back.shm_bytes, std::uint64_t{1} << 40);
  EXPECT_EQ(std::string(back.mounts[0].content.data, back.mounts[0].content.size), orders.mounts[0].content);
  EXPECT_TRUE(back.mounts[0].over_link);
  EXPECT_FALSE(back.mounts[0].optional);
  EXPECT_EQ(back.barred[0].address[3], 7);
}

TEST(Orders, EveryCutIsNoticed) {
  auto orders = sample();
  orders.environment.pop_back();
  const std::string wire = encode(orders);
  for (std::size_t cut = 0; cut < wire.size(); ++cut) {
    StepOrders broken;
    EXPECT_FALSE(read(std::string_view(wire).substr(0, cut), broken)) << cut;
  }
  StepOrders longer;
  EXPECT_FALSE(read(wire + "x", longer));
}

TEST(Orders, AListCannotPromiseMoreThanIsThere) {
  auto orders = sample();
  std::string wire = encode(orders);
  const std::uint32_t many = 0xffffffff;
  wire.replace(12, sizeof many, reinterpret_cast<const char*>(&many), sizeof many);  // the count of uid_map
  StepOrders broken;
  EXPECT_FALSE(read(wire, broken));
}

}  // namespace
}  // namespace slipway::init
