//! Kills, power loss, full disks, unplugged devices.
