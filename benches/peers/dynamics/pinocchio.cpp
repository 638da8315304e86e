// Pinocchio at the work of simulation/benches/dynamics.rs: pinocchio panda.txt
#include <pinocchio/fwd.hpp>
#include <pinocchio/multibody.hpp>
#include <pinocchio/algorithm/rnea.hpp>
#include <pinocchio/algorithm/crba.hpp>
#include <pinocchio/algorithm/aba.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/frames.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <vector>

using namespace pinocchio;
using Eigen::VectorXd;

int main(int, char** argv) {
  Model m;
  std::ifstream in(argv[1]);
  JointIndex p = 0;
  for (int i = 0; i < 7; i++) {
    double a, d, al, ms, c[3], I[6];
    in >> a >> d >> al >> ms >> c[0] >> c[1] >> c[2];
    for (double& x : I) in >> x;
    Eigen::Matrix3d R = Eigen::AngleAxisd(al, Eigen::Vector3d::UnitX()).toRotationMatrix();
    Eigen::Vector3d t = R * Eigen::Vector3d(0, 0, d) + Eigen::Vector3d(a, 0, 0);
    p = m.addJoint(p, JointModelRZ(), SE3(R, t), "j" + std::to_string(i));
    Eigen::Matrix3d J;
    J << I[0], I[1], I[2], I[1], I[3], I[4], I[2], I[4], I[5];
    m.appendBodyToJoint(p, Inertia(ms, Eigen::Vector3d(c[0], c[1], c[2]), J), SE3::Identity());
  }
  SE3 flange(Eigen::Matrix3d::Identity(), Eigen::Vector3d(0, 0, .107));
  FrameIndex f = m.addFrame(Frame("flange", p, 0, flange, OP_FRAME));
  Data d(m);

  std::vector<VectorXd> q, v, a;
  double ready[7] = {0, -M_PI / 4, 0, -3 * M_PI / 4, 0, M_PI / 2, M_PI / 4};
  for (int k = 0; k < 128; k++) {
    VectorXd x(7), y(7), z(7);
    for (int i = 0; i < 7; i++) {
      x[i] = ready[i] + .4 * sin(.37 * k + i);
      y[i] = .4 * sin(.37 * k + 1 + i);
      z[i] = .4 * sin(.37 * k + 2 + i);
    }
    q.push_back(x);
    v.push_back(y);
    a.push_back(z);
  }

  Data::Matrix6x J(6, 7);
  J.setZero();
  double sink = 0;
  auto run = [&](const char* name, auto call) {
    std::vector<double> ts;
    for (int r = 0; r < 200; r++) {
      auto t0 = std::chrono::steady_clock::now();
      for (int k = 0; k < 1280; k++) call(k & 127);
      ts.push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - t0).count() / 1280);
    }
    std::sort(ts.begin(), ts.end());
    printf("%-22s min %7.1f median %7.1f ns\n", name, ts[0], ts[100]);
  };
  for (int round = 0; round < 2; round++) {
    run("rnea", [&](int k) { sink += rnea(m, d, q[k], v[k], a[k])[0]; });
    run("crba", [&](int k) { sink += crba(m, d, q[k])(0, 0); });
    run("aba", [&](int k) { sink += aba(m, d, q[k], v[k], a[k])[0]; });
    run("jacobian", [&](int k) {
      computeFrameJacobian(m, d, q[k], f, LOCAL_WORLD_ALIGNED, J);
      sink += J(0, 0);
    });
    run("rnea_crba_jacobian", [&](int k) {
      sink += rnea(m, d, q[k], v[k], a[k])[0];
      sink += crba(m, d, q[k])(0, 0);
      J.setZero();
      computeFrameJacobian(m, d, q[k], f, LOCAL_WORLD_ALIGNED, J);
      sink += J(0, 0);
    });
  }
  printf("%g\n", sink);
}
