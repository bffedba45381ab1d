"""Reads a Cyton through BrainFlow for some seconds; prints counters and microvolts as JSON."""

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
board.start_stream(450_000)
time.sleep(seconds)
board.stop_stream()
data = board.get_board_data()
board.release_session()
eeg = BoardShim.get_eeg_channels(BoardIds.CYTON_BOARD.value)
counter = BoardShim.get_package_num_channel(BoardIds.CYTON_BOARD.value)
print(json.dumps({
    "counters": data[counter].astype(int).tolist(),
    "microvolts": [data[channel].tolist() for channel in eeg],
}))
