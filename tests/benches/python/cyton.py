"""Reads a Cyton through BrainFlow for some seconds; prints samples and seconds as JSON."""

import json
import sys
import time

from brainflow.board_shim import BoardIds, BoardShim, BrainFlowInputParams

port, seconds = sys.argv[1], float(sys.argv[2])
BoardShim.disable_board_logger()
parameters = BrainFlowInputParams()
parameters.serial_port = port
board = BoardShim(BoardIds.CYTON_BOARD.value, parameters)
board.prepare_session()
board.start_stream(4_000_000)
began = time.monotonic()
cpu = time.process_time()
time.sleep(seconds)
count = int(board.get_board_data_count())
took = time.monotonic() - began
cpu = time.process_time() - cpu
board.stop_stream()
board.release_session()
print(json.dumps({"samples": count, "seconds": took, "cpu_s": cpu}))
