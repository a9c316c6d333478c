// Hints for the scheduler do what they say where the kernel takes them, and never change what is computed.
#include "core/scheduling.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <stdexcept>
#include <thread>

namespace winnow {
namespace {

TEST(Scheduling, IdleWorkRunsAsideAndItsCallerStaysAsItWas) {
  const int before = sched_getscheduler(0);
  bool offered = false;  // some kernels know no such policy
  std::thread([&] {
    const sched_param none{};
    offered = sched_setscheduler(0, SCHED_IDLE, &none) == 0;
  }).join();
  const auto caller = std::this_thread::get_id();
  int policy = -1;
  bool aside = false;
  run_when_idle([&] { policy = sched_getscheduler(0), aside = std::this_thread::get_id() != caller; });
  EXPECT_EQ(policy, offered ? SCHED_IDLE : before);
  EXPECT_TRUE(aside);
  EXPECT_EQ(sched_getscheduler(0), before);
}

TEST(Scheduling, WhatIdleWorkThrowsReachesTheCaller) {
  EXPECT_THROW(run_when_idle([] { throw std::runtime_error("no"); }), std::runtime_error);
}

TEST(Scheduling, AThreadThatPrefersLatencyIsNoLaterThanBefore) {
  std::thread([] {
    const int before = getpriority(PRIO_PROCESS, 0), policy = sched_getscheduler(0);
    prefer_latency();
    EXPECT_EQ(sched_getscheduler(0), policy);
    EXPECT_LE(getpriority(PRIO_PROCESS, 0), before);
  }).join();
}

}  // namespace
}  // namespace winnow
