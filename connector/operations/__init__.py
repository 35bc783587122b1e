"""The product, readable as a list: one file an operation."""

from __future__ import annotations

from connector.operations.backfill_interviews import BACKFILL_INTERVIEWS
from connector.operations.base import AnyOperation
from connector.operations.check_connection import CHECK_CONNECTION
from connector.operations.get_interview_analysis import GET_INTERVIEW_ANALYSIS
from connector.operations.get_run import GET_RUN
from connector.operations.get_sync import GET_SYNC
from connector.operations.list_connections import LIST_CONNECTIONS
from connector.operations.list_syncs import LIST_SYNCS
from connector.operations.preview_interview_sync import PREVIEW_INTERVIEW_SYNC
from connector.operations.replay_syncs import REPLAY_SYNCS
from connector.operations.sync_interview_to_amplitude import SYNC_INTERVIEW_TO_AMPLITUDE

OPERATIONS: tuple[AnyOperation, ...] = (
    SYNC_INTERVIEW_TO_AMPLITUDE,
    GET_INTERVIEW_ANALYSIS,
    PREVIEW_INTERVIEW_SYNC,
    BACKFILL_INTERVIEWS,
    GET_RUN,
    LIST_SYNCS,
    GET_SYNC,
    REPLAY_SYNCS,
    LIST_CONNECTIONS,
    CHECK_CONNECTION,
)
