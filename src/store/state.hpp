// The hidden halves of the door's classes.
#pragma once

#include "store/core.hpp"
#include "sys/lock.hpp"

namespace slipway::store {

struct Store::State {
  std::shared_ptr<Core> core;
};

struct Lease::State {
  State(std::shared_ptr<Core> of, std::string name, std::string path, sys::FileLock held)
      : core(std::move(of)), id(std::move(name)), directory(std::move(path)), lock(std::move(held)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();  // lease.cpp

  std::shared_ptr<Core> core;
  std::string id;
  std::string directory;
  sys::FileLock lock;
};

}  // namespace slipway::store
